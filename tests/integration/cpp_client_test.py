"""The C++ client: against a live Larder, and as a program finds it once it is installed."""

import os
import pathlib
import subprocess

from support.lab import on_backends

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def build_directory(lab):
    if lab.stand_in:
        lab.skip("redis-server knows no tags")
    return lab.binary.parent


def run(*command, **environment):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120,
                            env={**os.environ, **environment})
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@on_backends("memory", "postgres", "redis")
def test_it_does_what_it_says(lab, backend):
    program = build_directory(lab) / "tests" / "client" / "live_client"
    larder = lab.larder(backend)
    output = run(program, LARDER_URL=f"redis://127.0.0.1:{larder.port}")
    assert "13 passed | 0 failed" in output, output


def test_it_goes_on_when_larder_was_restarted(lab):
    """A connection that was open at the restart is noticed before it is used."""
    build_directory(lab)
    program = compiled(lab, lab.path("restart.cpp"), r"""
#include <cstdio>
#include <larder/client.hpp>
int main(int, char** argv) {
  larder::Client client({.url = argv[1]});
  client.set("k", "1");
  std::puts("set");
  std::fflush(stdout);
  std::getchar();
  client.set("k", "2");
  std::puts(client.get("k").value_or("none").c_str());
}
""")
    larder = lab.larder("memory")
    user = subprocess.Popen([program, f"redis://127.0.0.1:{larder.port}"], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    try:
        assert user.stdout.readline() == "set\n"
        larder.stop()
        larder.start()
        output, _ = user.communicate("\n", timeout=20)
        assert output == "2\n", output
    finally:
        user.kill()


def test_the_example_compiles_against_what_is_installed(lab):
    build_directory(lab)
    program = compiled(lab, ROOT / "clients" / "cpp" / "example.cpp")
    larder = lab.larder("memory")
    output = run(program, f"redis://127.0.0.1:{larder.port}")
    assert output.splitlines() == [
        "greeting is hello", "computing page:posts:123", "dropped 1", "computing page:posts:123", "deleted 2"], output


def compiled(lab, source, text=None):
    """A program built as a stranger would: with what pkg-config says about an installation."""
    if text:
        source.write_text(text)
    place = lab.path("installed")
    build = build_directory(lab)
    run("meson", "install", "-C", build, "--no-rebuild", "--quiet", DESTDIR=str(place))
    package = next(place.rglob("larder-client.pc")).parent
    flags = run("pkg-config", "--cflags", "--libs", "--static", "larder-client", PKG_CONFIG_PATH=str(package),
                PKG_CONFIG_SYSROOT_DIR=str(place)).split()
    program = lab.path("program")
    run("g++-12", "-x", "c++", source, "-x", "none", "-o", program, *flags)
    return program
