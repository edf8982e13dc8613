"""`python -m config.demo` starts the demo; `--reset` forgets everything it has kept."""

import argparse
import errno
import os
import sys

from config.demo import ports
from config.demo.children import stop_left_over
from config.demo.environment import Given, refuse_live
from config.demo.places import NEEDED_MB, Places, lock
from config.demo.screen import Screen
from config.demo.services import Demo
from config.demo.supervisor import Stop, run
from config.demo.trouble import NO_SPACE, Interrupted, Trouble
from config.env import LOCAL_DIR
from config.local import ServerFailed


def main(argv: list[str] | None = None) -> int:
    """Return the exit status: 0 after Ctrl-C, 1 after a sentence on what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m config.demo", description="The whole portal on this machine.")
    parser.add_argument("--reset", action="store_true", help="forget everything that the demo has kept")
    options = parser.parse_args(argv)
    places, screen = Places(LOCAL_DIR.absolute()), Screen()
    try:
        return reset(places, screen) if options.reset else start(places, screen)
    except Interrupted:
        return 0
    except (Trouble, ServerFailed) as error:
        screen.say(str(error), style="red")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        screen.say(NO_SPACE.format(need=NEEDED_MB, place=places.root), style="red")
    return 1


def start(places: Places, screen: Screen) -> int:
    stop = Stop()
    stop.listen()
    refuse_live(os.environ)
    places.make()
    with lock(places):
        left = stop_left_over(places.run_file, str(places.root))
        if left:
            screen.say(f"Stopped what an earlier run left: {', '.join(left)}.")
        given = Given.read(os.environ)
        demo = Demo(
            places=places,
            screen=screen,
            given=given,
            stop_asked=stop.asked,
            web_port=ports.choose(ports.WEB),
            sandbox_port=0 if given.stripe else ports.choose(ports.SANDBOX),
            aws_port=0 if given.aws else ports.choose(ports.AWS),
        )
        run(demo, stop)
    return 0


def reset(places: Places, screen: Screen) -> int:
    if not places.root.exists():
        screen.say("There is nothing to forget.")
        return 0
    with lock(places):
        stop_left_over(places.run_file, str(places.root))
        places.forget()
    screen.say(f"Forgotten: {places.root} is removed. `make demo` starts afresh.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
