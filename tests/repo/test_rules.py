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
def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_module_says_what_it_is_and_stays_short(path: Path) -> None:
    assert ast.get_docstring(parsed(path)), "no docstring at its top"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
    assert path.stem not in NAMELESS
    too_long = {node.name: length(node) for node in functions(path) if length(node) > MAX_FUNCTION_LINES}
    assert not too_long


def test_functions_are_short_on_the_whole() -> None:
    lengths = sorted(length(node) for path in SOURCES for node in functions(path))
    assert lengths[len(lengths) // 2] <= MEDIAN_FUNCTION_LINES


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_broad_except_and_nothing_left_open(path: Path) -> None:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else ""
            assert caught not in {"", "Exception", "BaseException"}, f"line {node.lineno}"
        assert not (isinstance(node, ast.Raise) and "NotImplementedError" in ast.dump(node)), f"line {node.lineno}"


@pytest.mark.parametrize("path", [path for path in SOURCES if path.is_relative_to(ROOT / "failback")], ids=name_of)
def test_the_domain_never_asks_the_environment(path: Path) -> None:
    words = {ast.unparse(node) for node in ast.walk(parsed(path)) if isinstance(node, ast.Attribute)}
    assert not words & {"os.environ", "os.getenv"}


def test_error_names_are_unique_and_stand_in_one_place() -> None:
    defined: Counter[str] = Counter()
    for path in SOURCES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ClassDef) and any("Error" in ast.unparse(each) for each in node.bases):
                defined[node.name] += 1
                assert path.name == "errors.py" or node.name.startswith("_"), f"{node.name} belongs into errors.py"
    assert {name for name, count in defined.items() if count > 1} == set()


@pytest.mark.parametrize("name", [f"failback/image/{name}.py" for name in STDLIB_ONLY] + ["failback/sinks/raw.py"])
def test_layout_and_sinks_need_the_standard_library_only(name: str) -> None:
    for node in ast.walk(parsed(ROOT / name)):
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
