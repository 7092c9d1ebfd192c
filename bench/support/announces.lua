-- Load of the tracker bench for wrk: announces of many peers in many swarms, made before the clock starts.
--   wrk ... -s announces.lua URL -- kept|each SWARMS PEERS
-- Peer p of swarm s listens on port 10000 + p; every fifth is a seed. The hashes are 19 bytes 0xaa and the swarm's number.
-- A request of its own connection asks for its end. Prints one JSON line at the end.

local requests = {}
local count = 0
local at = 0
-- Walks all requests in an order that changes swarm and peer with every step (a prime, so that it meets all of them).
local STEP = 7919

function init(args)
  local swarms, peers = tonumber(args[2]), tonumber(args[3])
  local ending = args[1] == "each" and "Connection: close\r\n\r\n" or "\r\n"
  count = swarms * peers
  for k = 0, count - 1 do
    local swarm, peer = k % swarms, math.floor(k / swarms)
    requests[k] = string.format(
      "GET /announce?info_hash=%s%%%02x&peer_id=-XX0001-%012d&port=%d&uploaded=0&downloaded=0&left=%d&compact=1&numwant=50 HTTP/1.1\r\n" ..
      "Host: %s:%s\r\n%s",
      string.rep("%aa", 19), swarm, k, 10000 + peer, peer % 5 == 0 and 0 or 1, wrk.host, wrk.port, ending)
  end
end

function request()
  at = (at + STEP) % count
  return requests[at]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"bytes":%d,"refused":%d,"connectErrors":%d,"timeouts":%d,"p50Ms":%.3f,"p99Ms":%.3f}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, e.status, e.connect, e.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
