"""`python -m config.demo.fail_builds 1`: the next build at the running demo's AWS fails; 3: the customer gets the money
back; 0: none fails."""

import argparse
import os
import sys
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from config.demo.aws.page import PLACE
from config.env import LOCAL_ENV_FILE, read_local


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m config.demo.fail_builds", description=__doc__)
    parser.add_argument("times", type=int, help="how many of the next builds fail")
    times = parser.parse_args().times
    address = os.environ.get("AWS_ENDPOINT_URL") or (LOCAL_ENV_FILE.exists() and read_local("AWS_ENDPOINT_URL"))
    if not address:
        return said("No demo runs here: start it with `make demo`.")
    try:
        urlopen(f"{address}{PLACE}/fail", urlencode({"times": times}).encode(), timeout=10).close()  # noqa: S310 - ours
    except HTTPError as error:
        return said(error.read().decode())
    except URLError:
        return said(f"Nothing answers at {address}: does the demo run?")
    sys.stdout.write(f"Builds that fail from now on: {times}. See {address}{PLACE}/\n")
    return 0


def said(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
