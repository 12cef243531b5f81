/**
 * What a page that is watched costs, and traces of callers: page loads through a router and two
 * nodes, while nobody watches, while requests carry a trace, while pages watch, and both, in
 * alternating runs.
 *
 * A page watches as a browser does that shows latencies over ten minutes. What recording itself
 * costs, which cannot be switched off, the bench `recording` says.
 *
 * Arguments: the count of records to serve, and how many pages watch.
 */
import { systemClock } from '../src/base/clock.ts';
import { startBox } from './box.ts';
import { GrpcLoad } from './grpc-load.ts';
import { saturate, saturatingInFlight } from './hot-load.ts';
import type { HotMethod } from './hot-request.ts';
import { hotMethods } from './hot-requests.ts';
import { type BenchOptions, type BenchResult, type Figures, median, percent, startCpuMeter } from './report.ts';

export const question = 'What do watching pages, and traces of callers, cost a router and its nodes?';

const slots = 16;
const nodes = 2;
const askEveryMs = 5_000;
const trace = 'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n';

/** Pages that watch; `bytes` is what they were sent. */
class Pages {
  readonly #sockets: WebSocket[];
  readonly #timer: NodeJS.Timeout;
  messages = 0;
  bytes = 0;

  private constructor(sockets: WebSocket[]) {
    this.#sockets = sockets;
    for (const socket of sockets) {
      socket.addEventListener('message', ({ data }) => {
        this.messages++;
        this.bytes += String(data).length;
      });
      this.#ask(socket, 1, 0);
      this.#ask(socket, 5, 0);
    }
    const again = (): void => {
      for (const socket of sockets) this.#ask(socket, 5, systemClock.nowMs() - 2 * askEveryMs);
    };
    this.#timer = setInterval(again, askEveryMs);
  }

  #ask(socket: WebSocket, spanS: number, sinceMs: number): void {
    socket.send(JSON.stringify({ type: 'watch', spanS, sinceMs, prefixes: ['request'], process: null }));
  }

  static async open(port: number, count: number): Promise<Pages> {
    const sockets = Array.from({ length: count }, () => new WebSocket(`ws://127.0.0.1:${port}/v1/live`));
    const opened = sockets.map(
      (socket) =>
        new Promise<void>((resolve, reject) => {
          socket.addEventListener('open', () => resolve(), { once: true });
          socket.addEventListener('error', () => reject(new Error('a page cannot watch')), { once: true });
        }),
    );
    await Promise.all(opened);
    return new Pages(sockets);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const socket of this.#sockets) socket.close();
  }
}

/** Returns the same requests with the trace of a caller. */
function traced({ name, requests }: HotMethod): HotMethod {
  const withTrace = (bytes: Buffer): Buffer => {
    const at = bytes.indexOf('\r\n') + 2;
    return Buffer.concat([bytes.subarray(0, at), Buffer.from(trace, 'latin1'), bytes.subarray(at)]);
  };
  const steps = requests.map((request) =>
    request.map((step) => step.map(({ method, bytes }) => ({ method, bytes: withTrace(bytes) }))),
  );
  return { name, requests: steps };
}

const sides = {
  alone: { isTraced: false, isWatched: false },
  traced: { isTraced: true, isWatched: false },
  watched: { isTraced: false, isWatched: true },
  both: { isTraced: true, isWatched: true },
} as const;
type Side = keyof typeof sides;

type Run = { readonly cpuUs: number; readonly perS: number };

export async function run(options: BenchOptions): Promise<BenchResult> {
  const records = Number(options.args[0] ?? (options.quick ? 20_000 : 300_000));
  const pages = Number(options.args[1] ?? 1);
  const network = { kind: 'graph', seed: options.seed, records } as const;
  const box = await startBox({ network, slots, nodes, print: options.print });
  const load = new GrpcLoad(box.port, saturatingInFlight);
  try {
    const [plain] = await hotMethods(box.pools, options.seed, load, ['page']);
    const withTraces = traced(plain!);
    const names = Object.keys(sides) as Side[];
    const rounds = options.quick ? 2 : 12;
    const durationMs = (options.budgetS * 600) / (names.length * (rounds + 1));
    const runs: Record<Side, Run[]> = { alone: [], traced: [], watched: [], both: [] };
    let [bytes, messages] = [0, 0];
    const runOne = async (side: Side): Promise<Run> => {
      const { isTraced, isWatched } = sides[side];
      const watching = isWatched ? await Pages.open(box.port, pages) : null;
      const meter = startCpuMeter(box.pids);
      const { count, perSecond } = await saturate(load, isTraced ? withTraces : plain!, durationMs);
      const cpuUs = Object.values(meter.stop()).reduce((total, us) => total + us, 0) / count;
      bytes += watching?.bytes ?? 0;
      messages += watching?.messages ?? 0;
      watching?.close();
      return { cpuUs, perS: perSecond };
    };
    for (const side of names) await runOne(side);
    for (let round = 0; round < rounds; round++) {
      // Each side is first as often as last.
      const order = names.map((_name, index) => names[(index + round) % names.length]!);
      for (const side of order) runs[side].push(await runOne(side));
    }
    const figures: Record<string, Figures> = {};
    for (const side of names) {
      const [own, alone] = [runs[side], runs.alone];
      const share = median(own.map(({ cpuUs }, round) => cpuUs / alone[round]!.cpuUs)) - 1;
      const cpuUs = median(own.map((one) => one.cpuUs));
      const perS = median(own.map((one) => one.perS));
      figures[side] = { cpu_us: cpuUs, per_s: perS, cpu_share_more: share };
      options.print(
        `${side.padEnd(8)} ${Math.round(cpuUs)} µs a page, ${Math.round(perS)} a second: ${percent(share)} more`,
      );
    }
    const sent = { pages, bytes_per_message: messages === 0 ? 0 : bytes / messages };
    return {
      dataSize: `${box.pools.records} records, ${slots} slots on ${nodes} nodes`,
      figures: { ...figures, sent },
    };
  } finally {
    load.close();
    await box[Symbol.asyncDispose]();
  }
}
