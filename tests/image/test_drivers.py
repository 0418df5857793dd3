"""What each cloud needs, what an initrd lacks of it, and in which order it's given what it lacks."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failback.errors import DriverMissing
from failback.image.cpio import CpioMember, write_cpio
from failback.image.drivers import LIVE_NEEDS, Cloud, CloudDrivers, assess, injection, needs, require
from failback.image.initrd import Initrd, module_name, read_initrd
from failback.image.source import BytesSource

KERNEL, OTHER = "4.14.336-253.554.amzn2.x86_64", "5.10.209-198.812.amzn2.x86_64"
CLOUDS: tuple[Cloud, ...] = get_args(Cloud)
LIVE = ("squashfs", "loop", "dm_mod", "dm_snapshot", "ext4", "isofs", "sd_mod")


@dataclass
class FakeModules:
    """A kernel's modules as dependency lists; names with '-' in their files, as the kernel's own build has them."""

    depends: dict[str, tuple[str, ...]]
    within: frozenset[str] = field(default=frozenset())

    def path(self, name: str) -> str:
        return f"/lib/modules/{KERNEL}/kernel/{name.replace('_', '-')}.ko.xz"

    def find(self, name: str) -> str | None:
        return self.path(name) if name in self.depends else None

    def builtin(self, name: str) -> bool:
        return name in self.within

    def closure(self, name: str) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for dependency in self.depends[name]:
            found.update(dict.fromkeys(self.closure(dependency)))
        return (*found, self.path(name))

    def read(self, path: str) -> bytes:
        assert path in map(self.path, self.depends)
        return f"content of {path}".encode()


def initrd_with(*names: str, builtin: tuple[str, ...] = (), kernel: str = KERNEL) -> Initrd:
    directories = ["lib", "lib/modules", f"lib/modules/{kernel}"]
    found = [CpioMember(directory, stat.S_IFDIR | 0o755) for directory in directories]
    files = {f"{name.replace('_', '-')}.ko.xz": b"x" for name in names}
    files["modules.builtin"] = "".join(f"kernel/{name.replace('_', '-')}.ko\n" for name in builtin).encode()
    found += [CpioMember(f"{directories[-1]}/{name}", stat.S_IFREG | 0o644, data) for name, data in files.items()]
    return read_initrd([BytesSource(write_cpio(found))])


def names_of(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(module_name(path) for path in paths)


def alone(*names: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(names, ())


# The client's older kernel: no gve, no mana, no idpf.
AL2_ROOT = FakeModules(
    {
        **alone(
            "scsi_mod", "virtio", "hv_vmbus", "nvme_core", "ena", "loop", "dm_mod", "dm_bufio", "squashfs", "isofs"
        ),
        **alone("jbd2", "mbcache"),
        "ext4": ("mbcache", "jbd2"),
        "sd_mod": ("scsi_mod",),
        "dm_snapshot": ("dm_mod", "dm_bufio"),
        "scsi_transport_fc": ("scsi_mod",),
        "hv_storvsc": ("hv_vmbus", "scsi_transport_fc"),
        "hv_netvsc": ("hv_vmbus",),
        "virtio_ring": ("virtio",),
        "virtio_pci": ("virtio_ring",),
        "virtio_scsi": ("virtio_ring", "scsi_mod"),
        "virtio_net": ("virtio_ring",),
        "nvme": ("nvme_core",),
    }
)
EMPTY_ROOT = FakeModules({})
EVERYTHING = tuple(AL2_ROOT.depends)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_an_initrd_that_has_everything_is_given_nothing(cloud: Cloud) -> None:
    drivers = assess(initrd_with(*EVERYTHING), AL2_ROOT, KERNEL, cloud)
    assert (drivers.injected, drivers.missing, drivers.builtin) == ((), (), ())
    assert set(LIVE) <= set(drivers.present)
    require(drivers, KERNEL)


def test_nothing_is_missing_because_the_older_kernel_lacks_newer_drivers() -> None:
    unmet = {cloud: assess(initrd_with(*EVERYTHING), AL2_ROOT, KERNEL, cloud).optional for cloud in CLOUDS}
    assert {cloud: [need.any_of for need in found] for cloud, found in unmet.items()} == {
        "azure": [("pci_hyperv",), ("mlx5_core", "mana")],
        "google": [("gve",)],
        "aws": [],
    }


@pytest.mark.parametrize(
    ("cloud", "required"),
    [
        ("azure", {"hv_vmbus", "hv_storvsc", "hv_netvsc"}),
        ("google", {"virtio_pci", "virtio_scsi", "virtio_net"}),
        ("aws", {"nvme", "ena"}),
    ],
)
def test_what_is_nowhere_is_missing_and_named(cloud: Cloud, required: set[str]) -> None:
    drivers = assess(initrd_with(), EMPTY_ROOT, KERNEL, cloud)
    assert {need.any_of[0] for need in drivers.missing} == {*LIVE, *required}
    assert drivers.present == drivers.builtin == drivers.injected == ()
    with pytest.raises(DriverMissing) as caught:
        require(drivers, KERNEL)
    assert all(name in str(caught.value) for name in (*LIVE, *required, cloud, KERNEL))


@pytest.mark.parametrize("cloud", CLOUDS)
def test_modules_within_the_kernel_count_wherever_it_is_said(cloud: Cloud) -> None:
    said_by_initrd = assess(initrd_with(builtin=EVERYTHING), EMPTY_ROOT, KERNEL, cloud)
    said_by_root = assess(initrd_with(), FakeModules({}, frozenset(EVERYTHING)), KERNEL, cloud)
    assert said_by_initrd == said_by_root
    assert (said_by_root.present, said_by_root.injected, said_by_root.missing) == ((), (), ())
    assert set(LIVE) <= set(said_by_root.builtin)


def test_what_the_initrd_lacks_comes_from_the_root_after_what_it_needs() -> None:
    initrd = initrd_with(*(set(EVERYTHING) - {"virtio_scsi", "hv_storvsc", "squashfs"}))
    drivers = assess(initrd, AL2_ROOT, KERNEL, "google")
    assert names_of(drivers.injected) == ("squashfs", "virtio", "virtio_ring", "scsi_mod", "virtio_scsi")
    assert not {"virtio_scsi", "squashfs"} & set(drivers.present)
    azure = assess(initrd, AL2_ROOT, KERNEL, "azure")
    assert names_of(azure.injected)[1:] == ("hv_vmbus", "scsi_mod", "scsi_transport_fc", "hv_storvsc")


def test_a_driver_whose_dependency_is_lacking_gets_the_dependency() -> None:
    initrd = initrd_with(*(set(EVERYTHING) - {"scsi_transport_fc"}))
    drivers = assess(initrd, AL2_ROOT, KERNEL, "azure")
    assert names_of(drivers.injected) == ("scsi_mod", "scsi_transport_fc")
    assert "hv_storvsc" in drivers.present


def test_what_the_kernel_has_within_is_not_injected_as_a_dependency() -> None:
    root = FakeModules(AL2_ROOT.depends, frozenset({"scsi_mod", "virtio"}))
    initrd = initrd_with(*(set(EVERYTHING) - {"virtio_scsi", "scsi_mod", "virtio"}))
    assert names_of(assess(initrd, root, KERNEL, "google").injected) == ("virtio_ring", "virtio_scsi")


def test_network_drivers_may_wait_in_the_root() -> None:
    initrd = initrd_with(*(set(EVERYTHING) - {"virtio_net", "hv_netvsc", "ena"}))
    drivers_of: dict[Cloud, str] = {"azure": "hv_netvsc", "google": "virtio_net", "aws": "ena"}
    for cloud, network in drivers_of.items():
        drivers = assess(initrd, AL2_ROOT, KERNEL, cloud)
        assert network in drivers.present
        assert drivers.injected == ()
    in_initrd_only = assess(initrd_with(*EVERYTHING), EMPTY_ROOT, KERNEL, "aws")
    assert in_initrd_only.missing == ()


def test_only_the_booted_kernel_counts() -> None:
    initrd = initrd_with(*EVERYTHING, kernel=OTHER)
    assert assess(initrd, EMPTY_ROOT, OTHER, "google").missing == ()
    assert len(assess(initrd, EMPTY_ROOT, KERNEL, "google").missing) == len(LIVE) + 3


def test_any_one_of_several_will_do() -> None:
    root = FakeModules({**AL2_ROOT.depends, **alone("mana")})
    drivers = assess(initrd_with(*EVERYTHING), root, KERNEL, "azure")
    assert "mana" in drivers.present
    assert [need.any_of for need in drivers.optional] == [("pci_hyperv",)]


def test_injection_is_for_all_clouds_at_once_and_carries_the_contents() -> None:
    injected = injection(initrd_with("squashfs"), AL2_ROOT, KERNEL, CLOUDS)
    names = [module.name for module in injected]
    assert len(names) == len(set(names))
    assert {"hv_storvsc", "virtio_scsi", "virtio_pci", "nvme", "isofs", "dm_snapshot"} <= set(names)
    assert not {"squashfs", "virtio_net", "hv_netvsc", "ena"} & set(names)
    assert all(module.data == AL2_ROOT.read(module.path_in_root) for module in injected)
    assert injection(initrd_with(*EVERYTHING), AL2_ROOT, KERNEL, CLOUDS) == ()
    assert injection(initrd_with(), AL2_ROOT, KERNEL, []) == ()


def test_needs_read_as_sentences_and_name_modules_as_the_kernel_does() -> None:
    every = [*LIVE_NEEDS, *(need for cloud in CLOUDS for need in needs(cloud))]
    assert str(every[0]) == "squashfs (for the live system's compressed file system)"
    assert all(module_name(name) == name for need in every for name in need.any_of)
    assert "ata_piix" not in {name for need in every for name in need.any_of}
    assert str(needs("azure")[-1]).startswith("mlx5_core or mana (for ")


wanted = sorted({name for cloud in CLOUDS for need in (*LIVE_NEEDS, *needs(cloud)) for name in need.any_of})
libraries = [f"lib_{number}" for number in range(8)]


@st.composite
def module_trees(draw: st.DrawFn) -> FakeModules:
    """Any modules, each depending on some before it, so that no circle arises; some within the kernel."""
    order = draw(st.permutations([*libraries, *wanted]))
    there = order[: draw(st.integers(0, len(order)))]
    depends = {}
    for number, name in enumerate(there):
        depends[name] = tuple(
            draw(st.lists(st.sampled_from(there[:number]), unique=True, max_size=3)) if number else []
        )
    return FakeModules(depends, frozenset(draw(st.sets(st.sampled_from(order), max_size=5))))


# Each example has dozens of modules.
@settings(max_examples=30, deadline=None)
@given(module_trees(), st.sets(st.sampled_from([*libraries, *wanted])), st.sets(st.sampled_from(CLOUDS)))
def test_after_injection_every_need_can_be_loaded(root: FakeModules, there: set[str], clouds: set[Cloud]) -> None:
    initrd = initrd_with(*there)
    injected = [PurePosixPath(module.path_in_root) for module in injection(initrd, root, KERNEL, sorted(clouds))]
    loaded = set(root.within)
    for path in injected:  # as insmod does, one by one, before anything else is loaded
        name = module_name(path.name)
        assert set(root.depends[name]) <= loaded
        assert name not in loaded
        loaded.add(name)
    for cloud in clouds:
        check_met(assess(initrd, root, KERNEL, cloud), loaded | there, root)


def check_met(drivers: CloudDrivers, early: set[str], root: FakeModules) -> None:
    unmet = {*drivers.missing, *drivers.optional}
    assert all(need.required for need in drivers.missing)
    assert not any(need.required for need in drivers.optional)
    for need in (*LIVE_NEEDS, *needs(drivers.cloud)):
        available = early if need.where == "initrd" else early | set(root.depends)
        assert (need in unmet) == available.isdisjoint(need.any_of)
