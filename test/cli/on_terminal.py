"""Runs a command on a terminal of its own that changes its width: on_terminal.py COLUMNS,COLUMNS,... WORD COMMAND...

The width changes whenever WORD was written twice at the last one; after the last the command gets Ctrl-C. Prints what it
wrote as JSON, [[columns, text], ...], and ends with its exit code. The command stands still while the width changes, so
that nothing is drawn for the width before and read as drawn for the one after.
"""
import codecs
import fcntl
import json
import os
import pty
import select
import signal
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

# A chunk may end within a character.
decoder = codecs.getincrementaldecoder("utf-8")("replace")
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
    written.append([widths[at], decoder.decode(chunk)])
    seen += chunk
    if seen.count(word) < 2:
        continue
    seen = b""
    if at + 1 < len(widths):
        os.kill(child, signal.SIGSTOP)
        os.waitpid(child, os.WUNTRACED)
        while select.select([fd], [], [], 0)[0]:
            written.append([widths[at], decoder.decode(os.read(fd, 65536))])
        at += 1
        resize(fd, widths[at])
        os.kill(child, signal.SIGCONT)
    elif word:
        os.write(fd, b"\x03")
        word = b"\x00never"
print(json.dumps(written))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
