#!/usr/bin/env python3
"""What a GiB costs that goes from the page cache to a loopback socket: read and sent, or by sendfile.

    benches/workloads/sendfile.py

No broker: one process sends, another one reads. Prints the processor time of both for five rounds in turns. Where sendfile costs as much, a
broker would gain nothing by it.
"""

import argparse
import os
import resource
import socket
import tempfile
import time

PIECE = 1 << 20
PIECES = 1024
ROUNDS = 5
HEADER = bytes(100)


def read_and_send(sock, file, position, buffer):
    os.preadv(file, [buffer], position)
    sock.sendall(buffer)


def send_file(sock, file, position, _):
    end = position + PIECE
    while position < end:
        position += os.sendfile(sock.fileno(), file, position, end - position)


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def receive(address, told):
    buffer = bytearray(PIECE)
    with socket.create_connection(address) as sock:
        while sock.recv_into(buffer):
            pass
    os.write(told, str(cpu_seconds()).encode())
    os._exit(0)


def measure(file, send):
    """Seconds of the clock, and of the processor of who sends and who receives."""
    listener = socket.create_server(("127.0.0.1", 0))
    answer, told = os.pipe()
    receiver = os.fork()
    if receiver == 0:
        receive(listener.getsockname(), told)
    sock, _ = listener.accept()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = bytearray(PIECE)
    before, began = cpu_seconds(), time.monotonic()
    with sock, listener:
        for number in range(PIECES):
            sock.send(HEADER, socket.MSG_MORE)
            send(sock, file, number * PIECE, buffer)
    sent = cpu_seconds() - before
    os.waitpid(receiver, 0)
    took = time.monotonic() - began
    received = float(os.read(answer, 100))
    os.close(answer)
    os.close(told)
    return took, sent, received


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryFile() as file:
        for _ in range(PIECES):
            file.write(os.urandom(PIECE))
        file.flush()
        print("how\tseconds\tCPU s to send\tCPU s to receive")
        for _ in range(ROUNDS):
            for how, send in (("read and send", read_and_send), ("sendfile", send_file)):
                print("\t".join([how, *(f"{value:.2f}" for value in measure(file.fileno(), send))]), flush=True)


if __name__ == "__main__":
    main()
