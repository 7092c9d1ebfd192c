"""A libtorrent peer that finds others by the DHT alone, for interop tests; talks JSON lines.

usage: lt_dht.py seed|get TORRENT FOLDER --port N [--host A] --node HOST:PORT [--node ...]

Prints {"event": "ready", "port": N} when its DHT has joined (as a seed: and all data is checked), which is when the
torrent is announced, and {"event": "done"} when the download is complete. 'seed' ends with the line "quit",
the end of standard input, or SIGTERM.
"""
import argparse
import json
import select
import signal
import sys
import time

import libtorrent as lt


def say(event, **facts):
    print(json.dumps({"event": event, **facts}), flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["seed", "get"])
    parser.add_argument("torrent")
    parser.add_argument("folder")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--node", action="append", default=[])
    return parser.parse_args()


def make_session(arguments):
    return lt.session({
        "listen_interfaces": f"{arguments.host}:{arguments.port}",
        "enable_dht": True,
        "dht_bootstrap_nodes": ",".join(arguments.node),
        # All nodes have one address here.
        "dht_restrict_routing_ips": False,
        "dht_restrict_search_ips": False,
        "dht_prefer_verified_node_ids": False,
        "dht_enforce_node_id": False,
        "dht_ignore_dark_internet": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_utp": False,
        "enable_outgoing_utp": False,
        "allow_multiple_connections_per_ip": True,
        "no_connect_privileged_ports": False,
        "alert_mask": lt.alert.category_t.error_notification | lt.alert.category_t.dht_notification
        | lt.alert.category_t.status_notification | lt.alert.category_t.peer_notification,
    })


def add_torrent(session, arguments):
    parameters = lt.add_torrent_params()
    parameters.ti = lt.torrent_info(arguments.torrent)
    parameters.save_path = arguments.folder
    parameters.trackers = []
    parameters.flags &= ~lt.torrent_flags.auto_managed
    parameters.flags &= ~lt.torrent_flags.paused
    parameters.flags |= lt.torrent_flags.override_trackers
    parameters.flags |= lt.torrent_flags.disable_pex | lt.torrent_flags.disable_lsd
    return session.add_torrent(parameters)


def told_to_quit():
    readable, _, _ = select.select([sys.stdin], [], [], 0)
    if not readable:
        return False
    line = sys.stdin.readline()
    return line == "" or line.strip() == "quit"


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    session = make_session(arguments)
    handle = add_torrent(session, arguments)
    is_joined = False
    is_ready = False
    announced = 0.0
    while not told_to_quit():
        session.wait_for_alert(100)
        for alert in session.pop_alerts():
            is_joined = is_joined or isinstance(alert, lt.dht_bootstrap_alert)
            print(alert.message(), file=sys.stderr)
        status = handle.status()
        is_checked = status.is_seeding or arguments.mode == "get"
        if is_joined and is_checked:
            if not is_ready:
                is_ready = True
                say("ready", port=session.listen_port())
            if time.monotonic() - announced > 2:
                announced = time.monotonic()
                handle.force_dht_announce()
        if arguments.mode == "get" and status.is_seeding:
            handle.flush_cache()
            say("done", total=status.total_wanted)
            return


main()
