/**
 * Calls of bsync, the service that orders the private writes of the API tier: unary Connect calls
 * with JSON over HTTP.
 *
 * Refuses: redirects, which would carry the key elsewhere, and answers above a limit.
 */
import * as v from 'valibot';
import { openObjectShape, parseShape } from '../config/json-shape.ts';
import { GrowingBody } from '../identity/growing-body.ts';

/** The streams of bsync, and the method that scans each. */
const scanMethods = {
  mute: 'ScanMuteOperations',
  notif: 'ScanNotifOperations',
  op: 'ScanOperations',
} as const;

export type BsyncStream = keyof typeof scanMethods;

export const bsyncStreams = Object.keys(scanMethods) as readonly BsyncStream[];

type Failure = 'unreachable' | 'deadline' | 'refused' | 'malformed';

/**
 * `operations` are as they came: each is checked by itself. `onlyId` is the id of the operation
 * that was asked for alone and fits no answer, or null where that cannot be seen.
 */
export type ScanAnswer =
  | { readonly ok: true; readonly operations: readonly unknown[] }
  | { readonly ok: false; readonly reason: Failure; readonly message: string }
  | { readonly ok: false; readonly reason: 'too-large'; readonly message: string; readonly onlyId: number | null };

const scanLimits = {
  /** Longer than bsync holds a call that finds nothing, which is ten seconds. */
  timeoutMs: 60_000,
  answerBytesMax: 16 * 2 ** 20,
};
const errorLengthMax = 200;

const answerShape = openObjectShape({ operations: v.optional(v.array(v.unknown()), []) });

export class BsyncClient {
  readonly url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #limits: typeof scanLimits;

  constructor(url: string, key: string | null, limits: Partial<typeof scanLimits> = {}) {
    this.url = url.replace(/\/+$/, '');
    this.#limits = { ...scanLimits, ...limits };
    this.#headers = {
      'content-type': 'application/json',
      'connect-protocol-version': '1',
      'user-agent': 'skyshard',
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
    };
  }

  /** Asks for the operations after `cursor`. Never throws because of what bsync does. */
  async scan(stream: BsyncStream, cursor: number, limit: number, signal: AbortSignal): Promise<ScanAnswer> {
    const { timeoutMs, answerBytesMax } = this.#limits;
    const deadline = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(`${this.url}/bsync.Service/${scanMethods[stream]}`, {
        method: 'POST',
        redirect: 'error',
        headers: this.#headers,
        body: JSON.stringify({ cursor: cursor === 0 ? '' : String(cursor), limit }),
        signal: AbortSignal.any([deadline, signal]),
      });
      return await answerOf(response, answerBytesMax, limit === 1);
    } catch (thrown) {
      const { message, cause } = thrown as Error;
      const why = cause instanceof Error ? cause.message : message;
      return { ok: false, reason: deadline.aborted ? 'deadline' : 'unreachable', message: why };
    }
  }
}

/** Returns the id of the first operation in the beginning of an answer, unless another follows. */
function onlyIdOf(bytes: Buffer): number | null {
  const [, id] =
    /^\s*\{\s*"operations"\s*:\s*\[\s*\{\s*"id"\s*:\s*"([1-9]\d{0,15})"/.exec(bytes.latin1Slice(0, 1024)) ?? [];
  // Inside of a text these quotes would be escaped.
  const isOnly = id !== undefined && !/\}\s*,\s*\{\s*"id"/.test(bytes.latin1Slice());
  return isOnly && Number.isSafeInteger(Number(id)) ? Number(id) : null;
}

async function answerOf(response: Response, answerBytesMax: number, isOfOne: boolean): Promise<ScanAnswer> {
  const body = new GrowingBody(Number(response.headers.get('content-length')) || 0, answerBytesMax);
  for await (const part of response.body ?? []) {
    if (body.add(Buffer.from(part))) continue;
    const message = `an answer of more than ${answerBytesMax} bytes`;
    return { ok: false, reason: 'too-large', message, onlyId: isOfOne ? onlyIdOf(body.bytes) : null };
  }
  const text = body.bytes.utf8Slice();
  if (response.status !== 200) {
    return { ok: false, reason: 'refused', message: `HTTP ${response.status}: ${text.slice(0, errorLengthMax)}` };
  }
  const answer = parseShape(answerShape, text);
  return answer === undefined
    ? { ok: false, reason: 'malformed', message: `an answer that is none: ${text.slice(0, errorLengthMax)}` }
    : { ok: true, operations: answer.operations };
}
