/** Measures a prepared method on a plane: rate and server CPU at saturation, latencies at half. */
import { systemClock } from '../src/base/clock.ts';
import type { GrpcLoad } from './grpc-load.ts';
import { type Asking, askSteps, type HotMethod } from './hot-request.ts';
import { LatencyRecorder, type Percentiles, runOpenLoop } from './report.ts';

/** Requests in flight at saturation; also the count of connections. */
export const saturatingInFlight = 48;

export type Saturation = {
  readonly count: number;
  readonly perSecond: number;
  readonly latency: Percentiles;
  /** Of the requests: those sent while the same one was in flight, which may share its answer. */
  readonly sharedShare: number;
};

/** Keeps every connection busy for a time. Errors: the first request that fails. */
export async function saturate(load: Asking, method: HotMethod, durationMs: number): Promise<Saturation> {
  const { requests } = method;
  const recorder = new LatencyRecorder();
  const startMs = systemClock.monotonicMs();
  const endMs = startMs + durationMs;
  const inFlight = new Uint8Array(requests.length);
  let next = 0;
  let shared = 0;
  /** The next request that is not in flight, or any one when all are. */
  const take = (): number => {
    for (let tries = 1; ; tries++) {
      const index = next++ % requests.length;
      if (inFlight[index] === 0 || tries === requests.length) return index;
    }
  };
  const worker = async (): Promise<void> => {
    for (let sentMs = systemClock.monotonicMs(); sentMs < endMs; ) {
      const index = take();
      if (inFlight[index]!++ > 0) shared++;
      await askSteps(load, requests[index]!);
      inFlight[index]!--;
      const nowMs = systemClock.monotonicMs();
      recorder.record(nowMs - sentMs);
      sentMs = nowMs;
    }
  };
  await Promise.all(Array.from({ length: saturatingInFlight }, worker));
  const tookMs = systemClock.monotonicMs() - startMs;
  const { count } = recorder;
  const sharedShare = shared / count;
  return { count, perSecond: (count / tookMs) * 1000, latency: recorder.percentiles(), sharedShare };
}

/** Sends at a fixed rate, in an open loop. Errors: Error when a request fails or cannot be sent. */
export async function openLoop(
  load: GrpcLoad,
  method: HotMethod,
  perSecond: number,
  durationMs: number,
): Promise<Percentiles> {
  const { requests } = method;
  let problem = '';
  const send = async (index: number): Promise<void> => {
    try {
      await askSteps(load, requests[index % requests.length]!);
    } catch (error) {
      problem = (error as Error).message;
      throw error;
    }
  };
  const { failed, unsent, latency } = await runOpenLoop({ perSecond, durationMs, send });
  if (failed > 0 || unsent > 0)
    throw new Error(`${method.name}: ${failed} requests failed (${problem}), ${unsent} were not sent`);
  return latency;
}
