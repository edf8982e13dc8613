"""What a person is told, in one sentence, when the demo cannot go on."""


class Trouble(Exception):
    """The demo cannot go on; the message is the sentence that says why and what to do."""


class Interrupted(Exception):
    """Ctrl-C, a closed terminal, or `kill`: stop in order."""


NO_SPACE = (
    "The disk is full: the demo needs about {need} MB below {place}. Make room, or set KESSAI_LOCAL_DIR to a directory "
    "on another disk."
)
