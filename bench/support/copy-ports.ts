/** Where `copy-peer.ts` listens in its network namespace: for others of its kind, and for a client on loopback. */
export const COPY_PORT = 7000;
export const COPY_HTTP_PORT = 7001;
