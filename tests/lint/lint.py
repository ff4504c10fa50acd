#!/usr/bin/env python3
"""Checks what no compiler checks: format, the layers of src, leftovers. Prints the faults, then `N passed, N failed`.

The layers and their order are the subdir() lines of src/meson.build; nothing here repeats them.
"""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SRC = ROOT / "src"
PUBLIC = ROOT / "include"
CLIENTS = ROOT / "clients"
TESTS = ROOT / "tests"
BENCH = ROOT / "bench"

LAYERS = re.findall(r"^subdir\('(\w+)'\)", (SRC / "meson.build").read_text(), re.MULTILINE)

# Protocol, data and command code is tested without sockets, so it must not see them, not even through other headers.
SANS_IO = ("resp", "value", "keyspace", "command")
IO_HEADER = re.compile(r"boost/asio|boost/beast|sys/(socket|epoll|un)\.h|netinet/|arpa/|netdb\.h|hiredis/|libpq")

# Put together so that this file does not contain what it looks for.
LEFTOVER = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")
MACHINE = re.compile("|".join(("/" + r"(work|farm|root)/", "/tmp/" + "larder/", "deb" + r"\.debian\.", "npm" + r"js\.",
                               "node" + "source", "registry" + r"\.\w+\.")))

SKIPPED = re.compile(r"^(\.git|build|build-.*|node_modules|__pycache__|packagecache|\.cache)$")


def files_under(folder, *suffixes):
    for path, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not SKIPPED.match(name))
        for name in sorted(names):
            if name.endswith(suffixes or "") and not SKIPPED.match(name):
                yield pathlib.Path(path) / name


def cpp_files(*folders):
    return [path for folder in folders for path in files_under(folder, ".h", ".hpp", ".cpp")]


def includes(path):
    """(line number, name, quoted?) of every #include of a file."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if found:
            yield number, found[2], found[1] == '"'


def shown(path, number):
    return f"{path.relative_to(ROOT)}:{number}"


def check_format():
    """formatted by clang-format-14 (./dev format does it)"""
    files = [str(path.relative_to(ROOT)) for path in cpp_files(SRC, PUBLIC, CLIENTS, TESTS, BENCH)]
    command = ["clang-format-14", "--dry-run", "--Werror", *files]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", result.stderr, re.MULTILINE)))


def check_layers():
    """a folder includes only itself and folders above it in src/meson.build; tests see what their folder sees"""
    for base in (SRC, TESTS):
        for path in cpp_files(base):
            folder = path.relative_to(base).parts[0]
            for number, name, quoted in includes(path):
                target = name.split("/")[0]
                if not quoted or folder not in LAYERS or target not in LAYERS:
                    continue
                if LAYERS.index(target) > LAYERS.index(folder):
                    yield f"{shown(path, number)}: {target} comes after {folder} in src/meson.build"


def check_rooted_includes():
    """quoted includes are rooted at src (or tests, bench), and exist"""
    for path in cpp_files(SRC, TESTS, BENCH):
        roots = (SRC,) if path.is_relative_to(SRC) else (SRC, TESTS, BENCH, PUBLIC, CLIENTS / "cpp")
        for number, name, quoted in includes(path):
            if quoted and not any((root / name).is_file() for root in roots):
                yield f'{shown(path, number)}: "{name}" is no path from a root'


def check_sans_io():
    """resp, value, keyspace and command reach no socket header, not even indirectly"""
    for path in cpp_files(*(SRC / folder for folder in SANS_IO)):
        chain = way_to_io(path, set())
        if chain:
            yield " -> ".join(chain)


def way_to_io(path, seen):
    """The chain of includes from `path` to a socket header, or None."""
    seen.add(path)
    for _, name, quoted in includes(path):
        if not quoted and IO_HEADER.search(name):
            return [str(path.relative_to(ROOT)), name]
        inner = SRC / name
        if quoted and inner.is_file() and inner not in seen:
            chain = way_to_io(inner, seen)
            if chain:
                return [str(path.relative_to(ROOT)), *chain]
    return None


def check_public_headers():
    """public headers include nothing of src"""
    for path in cpp_files(PUBLIC):
        for number, name, _ in includes(path):
            if (SRC / name).is_file():
                yield f"{shown(path, number)}: includes {name} of src"


def check_include_guards():
    """every header begins with #pragma once"""
    for path in files_under(SRC, ".h"):
        if not path.read_text().startswith("#pragma once\n"):
            yield f"{shown(path, 1)}: no #pragma once"


def check_leftovers():
    """nothing is marked as unfinished"""
    return lines_with(LEFTOVER)


def check_machine():
    """no path of one machine and no package host is written down"""
    return lines_with(MACHINE)


def lines_with(pattern):
    for path in files_under(ROOT):
        content = path.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
            if pattern.search(line):
                yield f"{shown(path, number)}: {line.strip()[:100]}"


CHECKS = (check_format, check_layers, check_rooted_includes, check_sans_io, check_public_headers,
          check_include_guards, check_leftovers, check_machine)


def main():
    failed = 0
    for check in CHECKS:
        faults = list(check())
        if faults:
            failed += 1
            print(f"not so: {check.__doc__}", *faults, sep="\n  ")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
