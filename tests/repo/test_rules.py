"""The rules the code is written by, as tests: sizes, names, errors, imports, words."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from assets.grub_images import PACKAGES as GRUB_PACKAGES
from localcloud.packages import NEEDS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("failback", "cli", "lambdas", "localcloud", "assets", "stacks")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
SCRIPTS = sorted(
    path for folder in (*PACKAGES, "setup") for path in (ROOT / folder).rglob("*.sh") if "build" not in path.parts
)

# A file says one thing; the rare longer one has a reason at its top.
MAX_LINES = 300
MAX_FUNCTION_LINES = 45
MEDIAN_FUNCTION_LINES = 10
NAMELESS = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
# The layout and the sinks are shipped to where every package counts: the standard library and themselves only.
STDLIB_ONLY = ("plan", "source", "layout", "gpt", "fat", "fat_names", "fat_read", "grub", "arguments", "verify", "cpio")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(parsed(path)))


@cache
def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in nodes(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def of_package(package: str) -> list[Path]:
    return [path for path in SOURCES if path.is_relative_to(ROOT / package)]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_module_says_what_it_is_and_stays_short(package: str) -> None:
    faults: dict[str, object] = {}
    for path in of_package(package):
        too_long = {node.name: length(node) for node in functions(path) if length(node) > MAX_FUNCTION_LINES}
        if not ast.get_docstring(parsed(path)):
            faults[name_of(path)] = "no docstring at its top"
        elif (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES:
            faults[name_of(path)] = f"{lines} lines"
        elif path.stem in NAMELESS:
            faults[name_of(path)] = "a name that says nothing"
        elif too_long:
            faults[name_of(path)] = too_long
    assert not faults


def test_functions_are_short_on_the_whole() -> None:
    lengths = sorted(length(node) for path in SOURCES for node in functions(path))
    assert lengths[len(lengths) // 2] <= MEDIAN_FUNCTION_LINES


@pytest.mark.parametrize("package", PACKAGES)
def test_no_broad_except_and_nothing_left_open(package: str) -> None:
    faults = []
    for path in of_package(package):
        for node in nodes(path):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else ""
                broad = caught in {"", "Exception", "BaseException"}
                faults += [f"{name_of(path)}:{node.lineno}: except {caught}"] if broad else []
            elif isinstance(node, ast.Raise) and "NotImplementedError" in ast.dump(node):
                faults.append(f"{name_of(path)}:{node.lineno}: not done")
    assert faults == []


def test_the_domain_never_asks_the_environment() -> None:
    asking = {
        f"{name_of(path)}:{node.lineno}"
        for path in of_package("failback")
        for node in nodes(path)
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
        if ast.unparse(node) in {"os.environ", "os.getenv"}
    }
    assert asking == set()


def test_error_names_are_unique_and_stand_in_one_place() -> None:
    defined: Counter[str] = Counter()
    for path in SOURCES:
        for node in nodes(path):
            if isinstance(node, ast.ClassDef) and any("Error" in ast.unparse(each) for each in node.bases):
                defined[node.name] += 1
                assert path.name == "errors.py" or node.name.startswith("_"), f"{node.name} belongs into errors.py"
    assert {name for name, count in defined.items() if count > 1} == set()


@pytest.mark.parametrize("name", [f"failback/image/{name}.py" for name in STDLIB_ONLY] + ["failback/sinks/raw.py"])
def test_layout_and_sinks_need_the_standard_library_only(name: str) -> None:
    for node in nodes(ROOT / name):
        modules = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for module in modules:
            assert module.split(".")[0] in {*sys.stdlib_module_names, "failback"}, module


def test_importing_is_free() -> None:
    """Every module of the product imports without opening a socket, starting a process or reading the environment."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in SOURCES if "__main__" not in path.name
    ]
    code = f"""
import importlib, sys
refused = ("socket.connect", "socket.bind", "subprocess.Popen", "os.system", "os.fork")
def hook(event, arguments):
    if event in refused:
        raise SystemExit(f"importing did {{event}}")
sys.addaudithook(hook)
for name in {modules!r}:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_binary_is_committed() -> None:
    for path in tracked():
        assert b"\0" not in path.read_bytes()[:8000], f"{path} is binary"


def test_what_is_unconfirmed_is_listed() -> None:
    """Every module that rests on an unconfirmed fact is named in docs/unconfirmed.md, and nothing else is."""
    listed = set(re.findall(r"`((?:failback|localcloud)/[\w/.-]+)`", (ROOT / "docs/unconfirmed.md").read_text()))
    marked = {
        name_of(path)
        for path in tracked()
        if path.suffix in {".py", ".sh"} and "failback" in path.parts[len(ROOT.parts) : len(ROOT.parts) + 1]
        if re.search(r"\bunconfirmed\b", path.read_text(encoding="utf-8"), re.IGNORECASE)
    }
    assert marked == {name for name in listed if name.startswith("failback/")}


def test_the_read_me_names_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.index("make demo") < text.index("make test")


def test_every_named_file_of_the_documents_exists() -> None:
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_set_up_installs_what_is_asked_for_elsewhere() -> None:
    text = (ROOT / "setup/packages.txt").read_text(encoding="utf-8")
    listed = {line.partition("#")[0].strip() for line in text.splitlines()}
    # What every Debian has.
    essential = {"apt", "dpkg", "tar", "util-linux"}
    assert {need.package for need in NEEDS} | set(GRUB_PACKAGES) <= listed | essential
