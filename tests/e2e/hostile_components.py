# SPDX-License-Identifier: Apache-2.0
"""Components of the hostile tests, as Python code: who attacks, who is in the way, who asks.

They take what they need as arguments and print what they saw; hostile.cc is what must be quicker.
"""

SLEEP = "import time; time.sleep(1000)"

# Each refused call is answered by the supervisor, which also passes on what is printed.
CALLER = """
import os, time
while True:
    begun = time.monotonic()
    try:
        os.chroot('/')
    except PermissionError:
        print('answered after', time.monotonic() - begun)
    time.sleep(0.25)
"""

# Each connect is made by the broker.
BROKERED = """
import socket, sys, time
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    begun = time.monotonic()
    datagrams.connect(('127.0.0.1', 9))
    print('answered after', time.monotonic() - begun)
    time.sleep(0.02)
"""

BRIEF = "import time; time.sleep(1)"

# Tries one file when it is told to.
PROWLER = """
import signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
print('waiting')
signal.sigwait([signal.SIGUSR1])
for _ in range(int(sys.argv[2])):
    try:
        open(sys.argv[1]).close()
        print('opened')
    except PermissionError:
        pass
print('tried until', time.clock_gettime(time.CLOCK_BOOTTIME))
time.sleep(1000)
"""

NOTIFY = """
import os, signal, socket, struct, time
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.connect(os.environ['NOTIFY_SOCKET'])
"""

# Hands a connection that its peer does not read to whoever reads the readiness socket: closing the
# last descriptor of it takes 15 s.
LINGERING = NOTIFY + """
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
connection = socket.socket(fileno=3).accept()[0]
connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 15))
connection.setblocking(False)
try:
    while True:
        connection.send(bytes(65536))
except BlockingIOError:
    pass
notify.send(b'READY=1')
signal.sigwait([signal.SIGUSR1])
socket.send_fds(notify, [b'STATUS=here you are'], [connection.fileno()])
connection.close()
print('gone at', time.clock_gettime(time.CLOCK_BOOTTIME))
time.sleep(1000)
"""

WITH_DESCRIPTORS = NOTIFY + """
socket.send_fds(notify, [b'READY=1'], [0, 1, 2])
print('sent')
time.sleep(1000)
"""

WITHOUT_DESCRIPTORS = NOTIFY + """
notify.send(b'READY=1')
time.sleep(1000)
"""

NEVER_READY = NOTIFY + """
socket.send_fds(notify, [b'READY=0'], [0, 1, 2])
print('sent')
time.sleep(1000)
"""

TALKATIVE = NOTIFY + """
delivered = 0
for _ in range(10000):
    try:
        delivered += notify.send(b'READY=1', socket.MSG_DONTWAIT) == 7
    except BlockingIOError:
        pass
print('delivered', delivered)
for _ in range(100):
    begun = time.monotonic()
    notify.send(b'STATUS=at work')
    print('sent in', time.monotonic() - begun)
time.sleep(1000)
"""

# Two abstract names: one ends in another component's path, one holds a whole line of
# /proc/net/unix about such a path.
FORGER = """
import socket, sys, time
own, tail, line = sys.argv[1:]
sockets = []
for name in ('\\0x ' + tail, '\\0x\\n0: 2 0 00010000 1 1 9 ' + line, own):
    sockets.append(socket.socket(socket.AF_UNIX))
    sockets[-1].bind(name)
    sockets[-1].listen()
time.sleep(1000)
"""

LISTENER = """
import socket, sys, time
time.sleep(0.5)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
time.sleep(1000)
"""

# Answers, until it is told to shut its listener down.
SERVER = """
import socket, sys
listener = socket.socket(fileno=3)
while True:
    connection = listener.accept()[0]
    word = connection.recv(16)
    if word == b'shut':
        listener.shutdown(socket.SHUT_RDWR)
        sys.exit(1)
    connection.send(b'served ' + word)
    connection.close()
"""

# The same, until it is told to set an option of its listener.
SPOILER = """
import socket, sys
option, value = int(sys.argv[1]), bytes.fromhex(sys.argv[2])
listener = socket.socket(fileno=3)
while True:
    connection = listener.accept()[0]
    word = connection.recv(16)
    if word == b'spoil':
        before = listener.getsockopt(socket.SOL_SOCKET, option, 16)
        listener.setsockopt(socket.SOL_SOCKET, option, value)
        print('set:', listener.getsockopt(socket.SOL_SOCKET, option, 16) != before)
        sys.exit(1)
    connection.send(b'served ' + word)
    connection.close()
"""

CLIENT = """
import socket, sys, time
def ask(word):
    try:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(5)
        connection.connect(sys.argv[1])
        connection.send(word)
        return connection.recv(16).decode()
    except OSError as error:
        return str(error)
print('first:', ask(b'1'))
ask(b'shut')
while True:
    time.sleep(0.1)
    print('then:', ask(b'2'))
"""

# Passes its listener on when it is told to, and ends when it is told to; else it answers. Made by
# itself (a path is given) or handed over.
PASSER = """
import os, socket, sys
if len(sys.argv) > 1:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen()
else:
    listener = socket.socket(fileno=3)
while True:
    connection = listener.accept()[0]
    word = connection.recv(16)
    if word == b'pass':
        socket.send_fds(connection, [b'here'], [listener.fileno()])
    elif word == b'end':
        os._exit(1)
    else:
        connection.send(b'server')
    connection.close()
"""

# Asks for that listener, and answers in its stead. Its own is there so that it may accept.
HEIR = """
import socket, sys, time
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.send(b'pass')
passed = socket.recv_fds(connection, 16, 1)[1]
listener = socket.socket(fileno=passed[0])
print('inherited', listener.getsockname())
while True:
    try:
        connection = listener.accept()[0]
        if connection.recv(16) == b'end':
            connection.send(b'not me')
        else:
            connection.send(b'heir')
        connection.close()
    except OSError as error:
        print('over', error)
        time.sleep(1000)
"""

# Asks who answers, without end; from the moment on that another one than the server does, it tells
# the server to end, over and over.
ASKER = """
import socket, sys, time
end = False
while True:
    word = b'end' if end else b'who'
    try:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(2)
        connection.connect(sys.argv[1])
        connection.send(word)
        answer = connection.recv(16).decode()
    except OSError as error:
        answer = type(error).__name__
    print(word.decode(), answer)
    if answer == 'heir':
        end = True
    elif answer != 'not me':
        end = False
    time.sleep(0.02)
"""

# Fills its edge's directory with sockets, then ends.
FILLER = """
import os, socket, sys
left = len(os.listdir(sys.argv[1]))
for number in range(6000):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(f'{sys.argv[1]}/{number}')
print('found', left, 'made', len(os.listdir(sys.argv[1])))
os._exit(1)
"""

MEMORY = """
import errno, os
for path in ('self/mem', 'thread-self/mem', f'self/task/{os.getpid()}/mem'):
    try:
        os.open('/proc/' + path, os.O_RDWR)
        print('mem opened')
    except OSError as error:
        print('mem', errno.errorcode[error.errno])
print('status', 'Name:' in open('/proc/self/status').read())
"""

# Opens what is granted of an asset, and the rest of it.
ASSET = """
import errno, os, sys
for name in ('own', 'in/own', 'other', 'in/other', 'new', ''):
    path = os.path.join(sys.argv[1], name)
    try:
        with open(path, 'w' if name == 'new' else 'r') if name else os.scandir(path) as opened:
            print(name, opened.read())
    except OSError as error:
        print(name or 'list', errno.errorcode[error.errno])
"""

# Leaves as much in its pipes as they can hold, in as short lines as there are, and ends.
FULL = """
import fcntl, os, socket
connection = socket.socket(fileno=3)
for fd in (1, 2):
    fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 1 << 20)
    os.set_blocking(fd, False)
connection.send(b'r')
connection.recv(1)
for fd in (1, 2):
    for _ in range(400):
        try:
            os.write(fd, b'\\n' * 16384)
        except BlockingIOError:
            pass
"""
