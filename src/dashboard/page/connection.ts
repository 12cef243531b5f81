/** The socket of the page's data, which comes back by itself, and what it has brought. */
import { systemClock } from '../../base/clock.ts';
import type { LiveFrame } from '../../metrics/live-frame.ts';
import type { ClusterRows } from '../cluster-rows.ts';
import type { IngestAnswer } from '../ingest-state.ts';
import type { ClusterState } from './cluster-state.ts';
import { framesKept, withFrames } from './frame-windows.ts';

export type Step = {
  readonly node: string;
  readonly call: string;
  readonly atMs: number;
  readonly tookMs: number | null;
};
export type SlowRequest = {
  readonly endMs: number;
  readonly request: string;
  readonly trace: string | null;
  readonly method: string;
  readonly caller: string;
  readonly code: string | null;
  readonly durationMs: number;
  readonly items: number;
  readonly waitedMs: number;
  readonly steps: readonly Step[];
};

/** How long frames are that the server keeps. Units: seconds. */
export type SpanS = 1 | 5 | 30;

/**
 * What a view shows: values of series (see LiveQuestion), of one process or, for null, all,
 * and frames of which length, beside those of a second.
 */
export type Wanted = {
  readonly prefixes: readonly string[];
  readonly process: string | null;
  readonly spanS: SpanS;
};

type Frames = {
  readonly names: readonly string[];
  readonly processes: readonly {
    readonly process: string;
    readonly frames: readonly LiveFrame[];
    readonly bits: number;
  }[];
};
type Message =
  | { readonly type: 'access'; readonly access: 'open' | 'token' | 'closed'; readonly why: string }
  | { readonly type: 'login'; readonly isAdmitted: boolean }
  | (Frames & {
      readonly type: 'now';
      readonly atMs: number;
      readonly cluster: ClusterRows;
      readonly ingest: IngestAnswer;
      readonly slowest: readonly SlowRequest[];
    })
  | (Frames & Wanted & { readonly type: 'frames'; readonly atMs: number; readonly sinceMs: number });

const retryMs = 1_000;
/** A question without an answer for so long is asked again. */
const answerMsMax = 5_000;
/** Without a message for so long, what is shown is old. */
export const silentMsMax = 3_500;
const namesKept = 1_024;
/** A process of which nothing came for so long is gone. */
const goneMs = 150_000;
const tokenKey = 'skyshard-view-token';

function aboutOf({ prefixes, process }: Pick<Wanted, 'prefixes' | 'process'>): string {
  return JSON.stringify([prefixes, process]);
}

export class Connection {
  readonly #onChange: () => void;
  readonly #onLogin: (problem: string | null) => void;
  #socket: WebSocket | null = null;
  #isAdmitted = false;
  #wanted: Wanted = { prefixes: [], process: null, spanS: 1 };
  /** What the frames that are there are about; '' for nothing yet. */
  #secondsAbout = '';
  #stepsAbout = '';
  #stepsMs = 0;
  /** When a question was sent that has no answer yet, else 0. */
  #askedMs = 0;
  heardMs = 0;
  /** Of the server. */
  atMs = 0;
  cluster: ClusterState | null = null;
  ingest: IngestAnswer = null;
  slowest: readonly SlowRequest[] = [];
  /** The last two minutes, second by second, and the longer frames that a view shows. */
  readonly secondsByProcess = new Map<string, readonly LiveFrame[]>();
  readonly stepsByProcess = new Map<string, readonly LiveFrame[]>();
  /** Of all series that there were. */
  readonly names = new Set<string>();
  /** Of values, by process; see the server's LiveAnswer. */
  readonly bitsByProcess = new Map<string, number>();

  /** `onLogin` is called with why a token is needed, or null once none is. */
  constructor(onChange: () => void, onLogin: (problem: string | null) => void) {
    this.#onChange = onChange;
    this.#onLogin = onLogin;
    this.#open();
    setInterval(() => {
      this.#askWhatIsDue();
      this.#onChange();
    }, retryMs);
  }

  get isLive(): boolean {
    return this.#isAdmitted && systemClock.nowMs() - this.heardMs < silentMsMax;
  }

  #open(): void {
    const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/v1/live`);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(JSON.parse(String(data)) as Message);
    socket.onclose = () => {
      this.#isAdmitted = false;
      this.#onChange();
      setTimeout(() => this.#open(), retryMs);
    };
  }

  login(token: string): void {
    sessionStorage.setItem(tokenKey, token);
    this.#send({ type: 'login', token });
  }

  /** Has the server send what a view shows: what is in memory there, and what comes. */
  want(wanted: Wanted): void {
    if (aboutOf(wanted) !== aboutOf(this.#wanted)) this.#askedMs = 0;
    this.#wanted = wanted;
    this.#askWhatIsDue();
  }

  #send(message: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #askWhatIsDue(): void {
    const nowMs = systemClock.nowMs();
    if (!this.#isAdmitted || nowMs - this.#askedMs < answerMsMax) return;
    const { spanS } = this.#wanted;
    const about = aboutOf(this.#wanted);
    if (this.#secondsAbout !== about) return this.#ask(1, 0);
    if (spanS === 1) return;
    if (this.#stepsAbout !== `${spanS} ${about}`) return this.#ask(spanS, 0);
    if (nowMs - this.#stepsMs < spanS * 1_000) return;
    const ends = Array.from(this.stepsByProcess.values(), (frames) => frames.at(-1)?.endMs ?? 0);
    this.#ask(spanS, Math.max(0, Math.max(0, ...ends) - 2_000 * spanS));
  }

  #ask(spanS: SpanS, sinceMs: number): void {
    const { prefixes, process } = this.#wanted;
    this.#askedMs = systemClock.nowMs();
    this.#send({ type: 'watch', spanS, sinceMs, prefixes, process });
  }

  #admit(): void {
    this.#isAdmitted = true;
    // What came meanwhile is in memory there.
    this.#secondsAbout = '';
    this.#stepsAbout = '';
    this.#askedMs = 0;
    this.#onLogin(null);
    this.#askWhatIsDue();
  }

  #take(message: Message): void {
    if (message.type === 'access') {
      const token = sessionStorage.getItem(tokenKey);
      if (message.access === 'open') this.#admit();
      else if (message.access === 'closed') this.#onLogin(`Nobody may watch here: ${message.why}.`);
      else if (token === null) this.#onLogin('');
      else this.#send({ type: 'login', token });
    } else if (message.type === 'login') {
      if (message.isAdmitted) this.#admit();
      else {
        sessionStorage.removeItem(tokenKey);
        this.#onLogin('The server has another view token.');
      }
    } else if (message.type === 'frames') {
      this.#askedMs = 0;
      this.#takeFrames(message);
      this.#askWhatIsDue();
    } else {
      this.heardMs = systemClock.nowMs();
      this.atMs = message.atMs;
      this.cluster = this.#withSlots(message.cluster);
      this.ingest = message.ingest;
      this.slowest = message.slowest;
      this.#takeNames(message);
      for (const { process, frames } of message.processes) {
        const known = this.secondsByProcess.get(process) ?? [];
        const lastMs = known.at(-1)?.endMs ?? 0;
        const came = frames.filter(({ endMs }) => endMs > lastMs);
        this.secondsByProcess.set(process, [...known, ...came].slice(-framesKept));
      }
      for (const [process, frames] of this.secondsByProcess) {
        if ((frames.at(-1)?.endMs ?? 0) < this.atMs - goneMs) this.secondsByProcess.delete(process);
      }
    }
    this.#onChange();
  }

  #takeNames({ names, processes }: Frames): void {
    for (const name of names) if (this.names.size < namesKept) this.names.add(name);
    for (const { process, bits } of processes) this.bitsByProcess.set(process, bits);
  }

  #takeFrames(message: Message & { type: 'frames' }): void {
    const { spanS, sinceMs, processes } = message;
    const about = aboutOf(message);
    // The view is another one by now.
    if (about !== aboutOf(this.#wanted) || ![1, this.#wanted.spanS].includes(spanS)) return;
    this.atMs = message.atMs;
    this.#takeNames(message);
    if (spanS === 1) this.#secondsAbout = about;
    else {
      if (sinceMs === 0) this.stepsByProcess.clear();
      this.#stepsAbout = `${spanS} ${about}`;
      this.#stepsMs = systemClock.nowMs();
    }
    const into = spanS === 1 ? this.secondsByProcess : this.stepsByProcess;
    for (const { process, frames } of processes) into.set(process, withFrames(into.get(process) ?? [], frames));
  }

  /** Slots do not come with each message, where there are many. */
  #withSlots({ nodes, ...cluster }: ClusterRows): ClusterState {
    const before = new Map(this.cluster?.nodes.map(({ name, slots }) => [name, slots]));
    return { ...cluster, nodes: nodes.map((node) => ({ ...node, slots: node.slots ?? before.get(node.name) ?? [] })) };
  }

  /** Returns the seconds of each process of the last `ms`. */
  recent(ms: number): Map<string, readonly LiveFrame[]> {
    const sinceMs = this.atMs - ms;
    return new Map(
      [...this.secondsByProcess].map(([name, frames]) => [name, frames.filter(({ endMs }) => endMs > sinceMs)]),
    );
  }
}
