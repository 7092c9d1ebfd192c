"""One libtorrent process of the pair bench, tuned in its favour, as a seed or as a leech. Talks JSON lines.

usage: lt_pair.py seed|leech TORRENT FOLDER --port N [--host A] [--peer HOST:PORT]... [--threads N] [--disk auto|mmap|pwrite]

--disk: `auto` is what libtorrent chooses by itself, `mmap` writes through the mapping always, `pwrite` maps nothing and reads
and writes by position. (Its third back-end, posix_disk_io, cannot be chosen from Python in 2.0.)

The seed checks its data before it is ready: in seed mode it would hash each piece when it is asked for. Lines printed:
  {"event": "ready", "port": N, "version": "2.0.8.0", "settings": {...}}   it listens; a leech connects now
  {"event": "progress", ...}                                              twice a second
  {"event": "done", ...}                                                  leech: every piece is verified
Progress and done carry: seconds (since the first payload byte), done and total (bytes), down and up (payload bytes so
far), rate (bytes/s, libtorrent's own average), user and system (CPU seconds of this process since "ready"), peak_rss
(bytes, VmHWM), minor_faults, peers.
Both kinds stay until the line "quit", the end of standard input, or SIGTERM, so that both can be measured at the end.
"""
import argparse
import json
import os
import resource
import select
import signal
import sys
import time

import libtorrent as lt

MIB = 1024 * 1024
PE_DISABLED = 2
FIXED_SLOTS = 0
UNLIMITED = -1
# Files of up to this many blocks of 16 KiB are not mapped: 1 TiB.
UNMAPPED_BLOCKS = 1 << 26


def say(event, **facts):
    print(json.dumps({"event": event, **facts}), flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["seed", "leech"])
    parser.add_argument("torrent")
    parser.add_argument("folder")
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--peer", action="append", default=[])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--disk", choices=["auto", "mmap", "pwrite"], default="auto")
    return parser.parse_args()


def tuned_settings(threads):
    """libtorrent's own preset for high throughput, and beyond it wherever one fast peer gains."""
    settings = lt.high_performance_seed()
    settings.update({
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_utp": False,
        "enable_outgoing_utp": False,
        "in_enc_policy": PE_DISABLED,
        "out_enc_policy": PE_DISABLED,
        "allow_multiple_connections_per_ip": True,
        "rate_limit_ip_overhead": False,
        "download_rate_limit": 0,
        "upload_rate_limit": 0,
        "choking_algorithm": FIXED_SLOTS,
        "unchoke_slots_limit": UNLIMITED,
        "connections_limit": 8000,
        "max_out_request_queue": 2000,
        "max_allowed_in_request_queue": 4000,
        "request_queue_time": 3,
        "whole_pieces_threshold": 20,
        "max_queued_disk_bytes": 64 * MIB,
        # Larger buffers are slower here: 1 MiB costs 5 %, the preset's 3 MiB 30 % of the rate.
        "send_buffer_watermark": MIB // 2,
        "send_buffer_low_watermark": MIB // 8,
        "send_buffer_watermark_factor": 150,
        "recv_socket_buffer_size": 0,  # The kernel tunes it; a fixed one is cut to rmem_max and slower.
        "send_socket_buffer_size": 0,
        "aio_threads": max(threads, 2),
        "hashing_threads": threads,
        "disk_io_write_mode": 0,
        "disk_io_read_mode": 0,
        "no_atime_storage": True,
        "seed_choking_algorithm": 1,
        "alert_mask": lt.alert.category_t.error_notification | lt.alert.category_t.status_notification,
    })
    return settings


def disk_settings(disk):
    modes = lt.mmap_write_mode_t
    if disk == "mmap":
        return {"disk_write_mode": int(modes.always_mmap_write), "mmap_file_size_cutoff": 0}
    if disk == "pwrite":
        return {"disk_write_mode": int(modes.always_pwrite), "mmap_file_size_cutoff": UNMAPPED_BLOCKS}
    return {}


def add_torrent(session, arguments):
    parameters = lt.add_torrent_params()
    parameters.ti = lt.torrent_info(arguments.torrent)
    parameters.save_path = arguments.folder
    parameters.trackers = []
    flags = lt.torrent_flags
    parameters.flags &= ~(flags.auto_managed | flags.paused)
    parameters.flags |= flags.override_trackers | flags.disable_pex | flags.disable_lsd | flags.disable_dht
    return session.add_torrent(parameters)


def told_to_quit():
    readable, _, _ = select.select([sys.stdin], [], [], 0)
    if not readable:
        return False
    line = sys.stdin.readline()
    return line == "" or line.strip() == "quit"


def peak_rss():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def fail_on_error(session):
    for alert in session.pop_alerts():
        if isinstance(alert, (lt.torrent_error_alert, lt.file_error_alert, lt.listen_failed_alert)):
            say("error", message=alert.message())
            sys.exit(1)


class Meter:
    """CPU and time since it was made; the clock of `seconds` starts at the first payload byte."""

    def __init__(self):
        self.before = resource.getrusage(resource.RUSAGE_SELF)
        self.first_byte_at = None
        self.done_seconds = None

    def facts(self, status):
        now = time.monotonic()
        down, up = status.total_payload_download, status.total_payload_upload
        if self.first_byte_at is None and down + up > 0:
            self.first_byte_at = now
        use = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "seconds": 0.0 if self.first_byte_at is None else round(now - self.first_byte_at, 4),
            "done": status.total_wanted_done,
            "total": status.total_wanted,
            "down": down,
            "up": up,
            "rate": max(status.download_payload_rate, status.upload_payload_rate),
            "user": round(use.ru_utime - self.before.ru_utime, 3),
            "system": round(use.ru_stime - self.before.ru_stime, 3),
            "minor_faults": use.ru_minflt - self.before.ru_minflt,
            "peak_rss": peak_rss(),
            "peers": status.num_peers,
        }


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings = tuned_settings(arguments.threads)
    settings["listen_interfaces"] = f"{arguments.host}:{arguments.port}"
    settings.update(disk_settings(arguments.disk))
    session = lt.session(settings)
    handle = add_torrent(session, arguments)
    meter = None
    is_done = False
    last_report = time.monotonic()
    while not told_to_quit():
        session.wait_for_alert(20)
        fail_on_error(session)
        status = handle.status(0)  # No flags: distributed copies and the like cost time per piece.
        checking = status.state in (lt.torrent_status.checking_files, lt.torrent_status.checking_resume_data)
        if meter is None:
            if checking or session.listen_port() == 0 or (arguments.mode == "seed" and not status.is_seeding):
                continue
            meter = Meter()
            shown = {key: settings[key] for key in ("aio_threads", "hashing_threads", "max_out_request_queue")}
            say("ready", port=session.listen_port(), version=lt.version, settings=shown)
            for peer in arguments.peer:
                host, port = peer.rsplit(":", 1)
                handle.connect_peer((host, int(port)))
        facts = meter.facts(status)
        if arguments.mode == "leech" and status.is_seeding and not is_done:
            is_done = True
            say("done", **facts)
        elif time.monotonic() - last_report > 0.5:
            last_report = time.monotonic()
            say("progress", **facts)


main()
