"""Runs a command on a terminal of its own that changes its width: on_terminal.py COLUMNS,COLUMNS,... WORD COMMAND...

The width changes whenever WORD was written twice at the last one; after the last the command gets Ctrl-C. Prints what it
wrote as JSON, [[columns, text], ...], and ends with its exit code.
"""
import fcntl
import json
import os
import pty
import struct
import sys
import termios

widths = [int(width) for width in sys.argv[1].split(",")]
word = sys.argv[2].encode()


def resize(fd, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


ready, go = os.pipe()
child, fd = pty.fork()
if child == 0:
    os.read(ready, 1)
    os.execvp(sys.argv[3], sys.argv[3:])
resize(fd, widths[0])
os.write(go, b"x")

written = []
seen = b""
at = 0
while True:
    try:
        chunk = os.read(fd, 65536)
    except OSError:
        break
    if not chunk:
        break
    written.append([widths[at], chunk.decode("utf-8", "replace")])
    seen += chunk
    if seen.count(word) < 2:
        continue
    seen = b""
    if at + 1 < len(widths):
        at += 1
        resize(fd, widths[at])
    elif word:
        os.write(fd, b"\x03")
        word = b"\x00never"
print(json.dumps(written))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
