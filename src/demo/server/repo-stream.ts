/** Serves `com.atproto.sync.subscribeRepos` from the backlog; nothing is queued per subscriber. */
import { once } from 'node:events';
import type { WebSocket } from 'ws';
import { encodeErrorFrame, encodeInfoFrame } from './firehose-frame.ts';
import type { FrameBacklog } from './frame-backlog.ts';

/** Messages sent between two waits for the subscriber. */
const sendBatch = 64;
/** A subscriber that takes longer for one batch is dropped. */
const sendTimeoutMs = 60_000;
const closeCode = { normal: 1000, policy: 1008 } as const;

/** Reads the `cursor` parameter. Returns null when absent, undefined when invalid. */
export function parseCursor(text: string | null): number | null | undefined {
  if (text === null) return null;
  if (!/^\d{1,16}$/.test(text)) return undefined;
  const cursor = Number(text);
  return Number.isSafeInteger(cursor) ? cursor : undefined;
}

/** Resolves once the system has the bytes; false when the subscriber is gone or too slow. */
function send(socket: WebSocket, bytes: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      socket.terminate();
      resolve(false);
    }, sendTimeoutMs);
    socket.send(bytes, { binary: true }, (error) => {
      clearTimeout(timer);
      resolve(error === undefined || error === null);
    });
  });
}

async function refuse(socket: WebSocket, error: string, message: string): Promise<void> {
  await send(socket, encodeErrorFrame(error, message));
  socket.close(closeCode.policy, error);
}

/**
 * Sends all messages above `cursor`, then new ones, until the subscriber leaves or `signal` aborts.
 *
 * Shape: `cursor` is exclusive; null starts with the next message.
 */
export async function streamRepos(
  socket: WebSocket,
  backlog: FrameBacklog,
  newestSeq: number,
  cursor: number | null,
  signal: AbortSignal,
): Promise<void> {
  const gone = new AbortController();
  socket.once('close', () => gone.abort());
  socket.on('error', () => gone.abort());
  const stop = AbortSignal.any([signal, gone.signal]);
  if (cursor !== null && cursor > newestSeq) {
    return refuse(socket, 'FutureCursor', `the cursor ${cursor} is above the newest message, ${newestSeq}`);
  }
  let seq = cursor ?? newestSeq;
  const oldest = backlog.oldestSeq ?? newestSeq + 1;
  if (seq + 1 < oldest) {
    await send(socket, encodeInfoFrame('OutdatedCursor', `messages up to ${oldest - 1} are no longer kept`));
    seq = oldest - 1;
  }
  while (!stop.aborted) {
    const frames = backlog.after(seq, sendBatch);
    if (frames.length === 0) {
      await backlog.waitFor(seq, stop);
      continue;
    }
    // A crash may leave a gap in seqs, but a dropped file means that the subscriber was too slow.
    if (seq + 1 < (backlog.oldestSeq ?? 0)) {
      return refuse(
        socket,
        'ConsumerTooSlow',
        `messages up to ${backlog.oldestSeq! - 1} were dropped before they were read`,
      );
    }
    for (const frame of frames.slice(0, -1)) socket.send(frame.bytes, { binary: true });
    const last = frames[frames.length - 1]!;
    if (!(await send(socket, last.bytes))) return;
    seq = last.seq;
  }
  if (gone.signal.aborted) return;
  const closed = once(socket, 'close');
  socket.close(closeCode.normal);
  await closed;
}
