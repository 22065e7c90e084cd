"""Text that people wrote: the documentation and sources that this machine has, a line a record."""

import random
import re
import subprocess
import sysconfig
from pathlib import Path

PLACES = ["/usr/share/doc", "/usr/share/perl", sysconfig.get_paths()["stdlib"], "/usr/lib/python3", "/usr/share/vim"]
SUFFIXES = {".py", ".rs", ".txt", ".md", ".pm", ".pl", ".rst", ".html", ".c", ".h"}
LINE_BYTES_MAX = 1000
# A word for the index and for grep alike: letters with none and no digit beside them.
WORD = re.compile(r"(?<![^\W_])[a-z]{3,15}(?![^\W_])")


def lines(wanted):
    """(path, number, text) of so many lines that are UTF-8 and not empty; fewer where there are not so many."""
    found = 0
    for place in PLACES:
        for path in sorted(Path(place).rglob("*")):
            if not path.is_file() or not (path.suffix in SUFFIXES or path.name in ("copyright", "README", "NEWS")):
                continue
            try:
                text = path.read_text("utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            for number, line in enumerate(text.split("\n")):
                if line.strip() and "\0" not in line and "\r" not in line and len(line.encode()) <= LINE_BYTES_MAX:
                    yield str(path), number, line
                    found += 1
                    if found == wanted:
                        return


def words(texts, count, seed):
    """Words of the texts, seldom and frequent ones."""
    seen = {}
    for text in texts:
        for word in WORD.findall(text):
            seen[word] = seen.get(word, 0) + 1
    by_count = sorted(seen, key=lambda word: (seen[word], word))
    rng = random.Random(seed)
    step = max(1, len(by_count) // count)
    return [rng.choice(by_count[start : start + step]) for start in range(0, len(by_count), step)][:count] + by_count[-3:]


def phrases(texts, count, seed):
    """Pairs of words that follow each other somewhere."""
    rng = random.Random(seed)
    found = []
    while len(found) < count:
        pair = re.search(r"(?<![^\W_])([a-z]{3,15}) ([a-z]{3,15})(?![^\W_])", rng.choice(texts))
        if pair:
            found.append((pair[1], pair[2]))
    return found


def grep(path, *in_turn):
    """Lines of a file in which the words follow each other, by grep: it knows nothing of how the index cuts text into words."""
    pattern = "[^[:alnum:]]+".join(in_turn)
    command = ["grep", "-E", "-i", "-c", f"(^|[^[:alnum:]]){pattern}([^[:alnum:]]|$)", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"})
    assert done.returncode in (0, 1), done.stderr
    return int(done.stdout)
