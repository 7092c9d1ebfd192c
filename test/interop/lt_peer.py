"""One libtorrent peer for interop tests: seeds or gets one torrent and talks JSON lines.

usage: lt_peer.py seed|get TORRENT-OR-MAGNET FOLDER --port N [--host A] [--tracker URL]... [--peer HOST:PORT]...
       [--only INDEX]... [--plain] [--super] [--pex] [--lsd] [--stay] [--dht-node HOST:PORT]

Prints {"event": "ready", "port": N} when peers can connect (as a seed: when all data is checked and complete),
{"event": "progress", ...} twice a second, {"event": "done"} when the download is complete.
With --only the other files are not wanted, and complete means those of the named indices (from 0).
'get' ends by itself when done, unless it is to --stay; 'seed' ends with the line "quit", the end of standard input, or SIGTERM.
"""
import argparse
import json
import select
import signal
import sys
import time

import libtorrent as lt

PE_DISABLED = 2


def say(event, **facts):
    print(json.dumps({"event": event, **facts}), flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["seed", "get"])
    parser.add_argument("torrent")
    parser.add_argument("folder")
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tracker", action="append", default=[])
    parser.add_argument("--peer", action="append", default=[])
    parser.add_argument("--only", action="append", type=int, default=[])
    parser.add_argument("--plain", action="store_true", help="no protocol encryption, in or out")
    parser.add_argument("--super", action="store_true", help="super-seed (BEP 16)")
    parser.add_argument("--lsd", action="store_true", help="local service discovery (BEP 14)")
    parser.add_argument("--stay", action="store_true", help="go on when done, and keep peers that are of no use")
    parser.add_argument("--dht-node", help="the DHT (BEP 5), beginning with this node")
    parser.add_argument("--pex", action="store_true", help="peer exchange (BEP 11)")
    return parser.parse_args()


def make_session(arguments):
    settings = {
        "listen_interfaces": f"{arguments.host}:{arguments.port}",
        "enable_dht": arguments.dht_node is not None,
        "dht_bootstrap_nodes": arguments.dht_node or "",
        # All nodes have one address here.
        "dht_restrict_routing_ips": False,
        "dht_restrict_search_ips": False,
        "dht_prefer_verified_node_ids": False,
        "dht_enforce_node_id": False,
        "dht_ignore_dark_internet": False,
        "enable_lsd": arguments.lsd,
        "close_redundant_connections": not arguments.stay,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_utp": False,
        "enable_outgoing_utp": False,
        "allow_multiple_connections_per_ip": True,
        "validate_https_trackers": False,
        # Tests pin privileged and loopback peers; libtorrent would skip some of them.
        "no_connect_privileged_ports": False,
        "alert_mask": lt.alert.category_t.error_notification
        | lt.alert.category_t.status_notification
        | lt.alert.category_t.peer_notification
        | lt.alert.category_t.connect_notification,
    }
    if arguments.plain:
        settings["out_enc_policy"] = PE_DISABLED
        settings["in_enc_policy"] = PE_DISABLED
    return lt.session(settings)


def add_torrent(session, arguments):
    if arguments.torrent.startswith("magnet:"):
        parameters = lt.parse_magnet_uri(arguments.torrent)
    else:
        parameters = lt.add_torrent_params()
        parameters.ti = lt.torrent_info(arguments.torrent)
    parameters.save_path = arguments.folder
    parameters.trackers = arguments.tracker
    parameters.flags &= ~lt.torrent_flags.auto_managed
    parameters.flags &= ~lt.torrent_flags.paused
    parameters.flags |= lt.torrent_flags.override_trackers
    if not arguments.lsd:
        parameters.flags |= lt.torrent_flags.disable_lsd
    if arguments.dht_node is None:
        parameters.flags |= lt.torrent_flags.disable_dht
    if not arguments.pex:
        parameters.flags |= lt.torrent_flags.disable_pex
    if arguments.super:
        parameters.flags |= lt.torrent_flags.super_seeding
    if arguments.only:
        count = parameters.ti.num_files()
        parameters.file_priorities = [4 if index in arguments.only else 0 for index in range(count)]
    return session.add_torrent(parameters)


def told_to_quit():
    readable, _, _ = select.select([sys.stdin], [], [], 0)
    if not readable:
        return False
    line = sys.stdin.readline()
    return line == "" or line.strip() == "quit"


def report_alerts(session):
    for alert in session.pop_alerts():
        if isinstance(alert, (lt.torrent_error_alert, lt.file_error_alert, lt.listen_failed_alert)):
            say("error", message=alert.message())
            sys.exit(1)
        print(alert.message(), file=sys.stderr)


def connect_peers(handle, arguments):
    for peer in arguments.peer:
        host, port = peer.rsplit(":", 1)
        handle.connect_peer((host.strip("[]"), int(port)))


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    session = make_session(arguments)
    handle = add_torrent(session, arguments)
    is_ready = False
    is_done = False
    last_report = 0.0
    last_announce = 0.0
    while not told_to_quit():
        session.wait_for_alert(100)
        report_alerts(session)
        status = handle.status()
        checking = status.state in (lt.torrent_status.checking_files, lt.torrent_status.checking_resume_data)
        if not is_ready and not checking and (arguments.mode == "get" or status.is_seeding):
            is_ready = True
            connect_peers(handle, arguments)
            say("ready", port=session.listen_port())
        if arguments.mode == "get" and (status.is_finished if arguments.only else status.is_seeding):
            handle.flush_cache()
            if not is_done:
                say("done", total=status.total_wanted)
            is_done = True
            if not arguments.stay:
                return
        # By itself it waits for a timer of its own.
        if arguments.dht_node is not None and time.monotonic() - last_announce > 2:
            last_announce = time.monotonic()
            handle.force_dht_announce()
        if time.monotonic() - last_report > 0.5:
            last_report = time.monotonic()
            say("progress", state=str(status.state), done=status.total_done, total=status.total_wanted,
                rate=status.download_payload_rate, up=status.upload_payload_rate, peers=status.num_peers,
                upload_only=sum(1 for peer in handle.get_peer_info() if peer.flags & lt.peer_info.upload_only))


main()
