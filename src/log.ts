/** How the parts of an engine tell what they do; who is told is up to the program. */

/** How much a line matters. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Takes a line; `facts` are plain values for machines. */
export type Log = (level: LogLevel, message: string, facts?: Record<string, unknown>) => void;
