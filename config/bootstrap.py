"""Make `.venv` and install what a command needs: `python config/bootstrap.py requirements-demo.txt`.

Run by the Makefile with whatever Python the machine has: old ones must be able to read it, to be told that they are too
old, and it uses the standard library alone. What is wrong is said in one sentence.
"""

import errno
import os
import re
import shutil
import subprocess
import sys

OLDEST = (3, 11)
NEEDED_MB = 1500
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(HERE, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
NO_SPACE = f"The disk is full: {HERE} needs about {NEEDED_MB} MB for .venv. Make room and try again."
UNREACHABLE = r"Temporary failure in name resolution|Network is unreachable|Failed to establish a new connection"
EVERY = 25  # packages between two signs of life


def main(requirements: str) -> None:
    if sys.version_info[:2] < OLDEST:
        say_and_stop(
            f"Kessai needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}: install a newer one "
            "(Debian 12: `apt install python3`, macOS: `brew install python@3.13`), or name one that is there: "
            "`make demo PYTHON=/path/to/python3.13`."
        )
    if shutil.disk_usage(HERE).free < NEEDED_MB * 1_000_000:
        say_and_stop(NO_SPACE)
    if not venv_works():
        make_venv()
    install(requirements)


def venv_works() -> bool:
    """Say whether .venv is there and runs: its Python may have been removed or replaced since."""
    if not os.path.exists(PYTHON):
        return False
    check = f"import sys, pip; sys.exit(sys.version_info[:2] < {OLDEST})"
    done = subprocess.run([PYTHON, "-c", check], capture_output=True, check=False)  # noqa: S603
    return done.returncode == 0


def make_venv() -> None:
    say(f"Making .venv with Python {sys.version.split()[0]} ...")
    command = [sys.executable, "-m", "venv", "--clear", VENV]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode == 0:
        return
    shutil.rmtree(VENV, ignore_errors=True)
    said = (done.stdout + done.stderr).strip()
    if "ensurepip" in said or "No module named venv" in said:
        say_and_stop(
            "This Python cannot make virtual environments: install its venv module (Debian and Ubuntu: "
            "`apt install python3-venv`) and try again."
        )
    if "No space left on device" in said:
        say_and_stop(NO_SPACE)
    say_and_stop(f"The virtual environment could not be made: {said.splitlines()[-1] if said else 'no reason given.'}")


def install(requirements: str) -> None:
    """Run pip, showing signs of life instead of its whole report."""
    say(f"Installing {requirements} (the first time, some 150 MB are downloaded) ...")
    command = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    pip = subprocess.Popen(  # noqa: S603
        [*command, "-r", os.path.join(HERE, requirements)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines, packages = [], 0
    for line in pip.stdout or ():
        lines.append(line.rstrip())
        if line.startswith("Collecting "):
            packages += 1
            if packages % EVERY == 0:
                say(f"  {packages} packages downloaded")
        elif line.startswith("Installing collected packages"):
            say(f"  unpacking {line.count(',') + 1} packages")
    if pip.wait() != 0:
        explain(lines)


def explain(lines: list) -> None:  # type: ignore[type-arg] # old Pythons read this line
    """Say why pip failed, in one sentence where the reason is known."""
    text = "\n".join(lines)
    if "No space left on device" in text:
        say_and_stop(NO_SPACE)
    if re.search(UNREACHABLE, text):
        say_and_stop("The package index cannot be reached: connect to the network and try again.")
    say("\n".join(lines[-15:]))
    say_and_stop("The packages could not be installed; the reason stands above.")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_and_stop(sentence: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(sentence + "\n")
    sys.exit(1)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        say_and_stop("\nStopped; the next start goes on from here.")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        say_and_stop(NO_SPACE)
