/**
 * Running processes take what strangers send: messages and repos of their network, requests of
 * their callers, bytes at every listener. After each round a good commit is applied within a
 * second; no process ends, no slot stops, and the good accounts' records read as they were written.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import { decodeFirehoseMessage } from '../../src/atproto/firehose-event.ts';
import { systemClock } from '../../src/base/clock.ts';
import { methodByName } from '../../src/proto/codec.ts';
import { planByMethod } from '../../src/router/plans/service.ts';
import { FrameBatch, wireSubprotocol } from '../../src/wire/frame.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import type { Answer } from '../support/scripted-network.ts';
import { frameOf } from '../unit/atproto/signed-repo.ts';
import { documentBytes } from './decode-targets.ts';
import { type FuzzTarget, fuzzTarget, mustHold, type OpenTarget, type Sightings } from './fuzz-target.ts';
import { HostileCluster } from './hostile-cluster.ts';
import { type DrawnMessage, hostileMessages, hostileRepoCars } from './hostile-commits.ts';
import { goodDids, keyableDids } from './hostile-records.ts';
import { type HostileBody, hostileBodies } from './hostile-requests.ts';
import { type ByteFault, byteFaults, damaged, showBytes, withFaults } from './hostile-values.ts';
import { type Protocol, protocols, RouterCaller } from './router-caller.ts';

/** How a host answers for a repo or a document. */
type HostAnswer = { readonly how: 'whole' | 'cut' | 'endless' | 'silent' | 'failed'; readonly bytes: Buffer };

type NetworkEvent =
  | { readonly kind: 'message'; readonly message: DrawnMessage; readonly faults: readonly ByteFault[] | null }
  | { readonly kind: 'text' | 'cut' }
  | { readonly kind: 'repo' | 'document'; readonly did: string; readonly answer: HostAnswer }
  | { readonly kind: 'request'; readonly request: HostileBody; readonly protocol: Protocol }
  | { readonly kind: 'bytes'; readonly listener: 'router' | 'http2' | 'ingest' | 'node'; readonly bytes: Buffer }
  | { readonly kind: 'wire'; readonly call: string; readonly bytes: Buffer };

/** Methods that write: what they change is what their callers may change. */
const readMethods = [...methodByName.keys()].filter(
  (method) => planByMethod.has(method) && !/^(?:Takedown|Untakedown|Update|Delete|Create|Put)/.test(method),
);

const strangers = fc.constantFrom(...keyableDids);
const ways = fc.constantFrom<HostAnswer['how']>('whole', 'whole', 'whole', 'cut', 'endless', 'silent', 'failed');
const requestHead =
  'POST /bsky.Service/GetPostRecords HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}';
const http2Preface = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from('000000040000000000', 'hex'),
]);
/** Calls whose payload decides alone what is answered; an append is what a peer is trusted with. */
const calls = Object.values(nodeCalls).filter((name) => name !== nodeCalls.append && name !== nodeCalls.write);

const events: fc.Arbitrary<NetworkEvent> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('message'),
      message: hostileMessages,
      faults: fc.option(byteFaults, { freq: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('text', 'cut') }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('repo'),
      did: strangers,
      answer: fc.record({ how: ways, bytes: damaged(hostileRepoCars) }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('document'),
      did: strangers,
      answer: fc.record({ how: ways, bytes: documentBytes }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.tuple(hostileBodies(readMethods), fc.constantFrom(...protocols)).map(([request, protocol]) => ({
      kind: 'request' as const,
      request,
      protocol: request.isJson ? 'json' : protocol,
    })),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('bytes'),
      listener: fc.constantFrom('router', 'http2', 'ingest', 'node'),
      bytes: damaged(fc.constantFrom(Buffer.from(requestHead), http2Preface)),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('wire'),
      call: fc.constantFrom(...calls),
      bytes: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    }),
  },
);

/** What an endless answer has sent when it is cut off here, should its reader not do so. */
const endlessBytesMax = 256 * 2 ** 20;

function answerOf({ how, bytes }: HostAnswer, silence: Promise<Answer>): Answer | Promise<Answer> {
  switch (how) {
    case 'whole':
      return { body: bytes };
    case 'failed':
      return { status: 500, body: 'x' };
    case 'silent':
      return silence;
    case 'cut':
      return {
        headers: { 'content-length': String(bytes.length + 1) },
        body: '',
        stream: (response) => response.write(bytes, () => response.destroy()),
      };
    case 'endless':
      return {
        body: '',
        stream: (response) => {
          let sent = 0;
          const more = (): void => {
            while (!response.destroyed && sent < endlessBytesMax) {
              sent += 65_536;
              if (!response.write(Buffer.alloc(65_536))) return;
            }
            if (!response.destroyed) response.destroy();
          };
          response.on('drain', more);
          more();
        },
      };
  }
}

/** True for a message without a readable seq, too. */
function isOfSeq(frame: Buffer, seq: number): boolean {
  const read = decodeFirehoseMessage(frame);
  const known = read.ok ? read.value.seq : read.seq;
  return known === null || known === seq;
}

/** True when the source ends the connection, after which ingest waits before it connects again. */
function endsConnection(event: NetworkEvent): boolean {
  return event.kind === 'cut' || event.kind === 'text' || (event.kind === 'message' && event.message.op === -1);
}

/** The longest such wait, and what it takes to read what was missed. */
const reconnectMsMax = 60_000;

class HostileRound {
  readonly #cluster: HostileCluster;
  readonly #seen: Sightings;
  readonly #isVerified: boolean;
  readonly #caller: RouterCaller;
  readonly #repoAnswers = new Map<string, HostAnswer>();
  /** What silent hosts say in the end, or ingest would wait its time for each. */
  readonly #silence = Promise.withResolvers<Answer>();

  constructor(cluster: HostileCluster, seen: Sightings, isVerified: boolean) {
    this.#cluster = cluster;
    this.#seen = seen;
    this.#caller = new RouterCaller(cluster.run);
    this.#isVerified = isVerified;
    cluster.network.serveRepos(async (did) => {
      const car = await cluster.carOf(did);
      if (car !== undefined) return { body: car };
      const answer = this.#repoAnswers.get(did);
      return answer === undefined ? { status: 400, body: '{}' } : answerOf(answer, this.#silence.promise);
    });
  }

  endSilence(): void {
    this.#silence.resolve({ status: 500, body: '' });
  }

  async play(event: NetworkEvent): Promise<void> {
    const { network } = this.#cluster;
    this.#seen.add(event.kind);
    switch (event.kind) {
      case 'message':
        return this.#send(event.message, event.faults);
      case 'text':
        return network.send('text');
      case 'cut':
        return network.cut();
      case 'repo':
        this.#repoAnswers.set(event.did, event.answer);
        return this.#send(
          {
            op: 1,
            type: '#sync',
            body: { did: event.did, rev: '3jzfcijpj2z2a', time: new Date(systemClock.nowMs()).toISOString() },
          },
          null,
        );
      case 'document':
        network.responders.set(`/${event.did}`, () => answerOf(event.answer, this.#silence.promise));
        return this.#send(
          { op: 1, type: '#identity', body: { did: event.did, time: new Date(systemClock.nowMs()).toISOString() } },
          null,
        );
      case 'request':
        return this.#request(event.protocol, event.request);
      case 'bytes':
        return this.#bytes(event);
      case 'wire':
        return this.#wire(event.call, event.bytes);
    }
  }

  /** Where nobody checks who signed it, no message speaks for a good account. */
  #send({ op, type, body }: DrawnMessage, faults: readonly ByteFault[] | null): void {
    const isOfGood = goodDids.some((did) => body['repo'] === did || body['did'] === did);
    if (isOfGood && !this.#isVerified) return;
    if (isOfGood) this.#seen.add('for another');
    const seq = this.#cluster.nextSeq;
    const frame = frameOf({ op, t: type }, { ...body, seq });
    const damagedFrame = faults === null ? frame : withFaults(frame, faults);
    // Seqs are the source's own: one that skips some has lost those itself.
    this.#cluster.network.publish(seq, isOfSeq(damagedFrame, seq) ? damagedFrame : frame);
  }

  async #request(protocol: Protocol, { method, body }: HostileBody): Promise<void> {
    const { isInternal, summary } = await this.#caller.call(protocol, method, body);
    this.#seen.add(`${protocol} ${summary.slice(0, 7).trimEnd()}`);
    mustHold(!isInternal, `${method} is answered or refused, and not: ${summary}`);
  }

  async #bytes({ listener, bytes }: Extract<NetworkEvent, { kind: 'bytes' }>): Promise<void> {
    const { router, ingest, nodes } = this.#cluster.run;
    const port = {
      router: router.port,
      http2: router.http2Port,
      ingest: ingest.port,
      node: Object.values(nodes)[0]!.port,
    }[listener];
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.end(bytes);
    socket.resume();
    // A listener may keep the connection open for what is missing; we do not wait for that.
    await Promise.race([once(socket, 'close'), systemClock.sleep(20)]);
    socket.destroy();
  }

  async #wire(call: string, bytes: Buffer): Promise<void> {
    const node = Object.values(this.#cluster.run.nodes)[0]!;
    const socket = new WebSocket(`ws://127.0.0.1:${node.port}/wire`, wireSubprotocol, {
      headers: { authorization: `Bearer ${this.#cluster.clusterToken}` },
    });
    await once(socket, 'open');
    const batch = new FrameBatch();
    batch.addCall(1, 1, call, 1_000, bytes);
    socket.send(Buffer.from(batch.take()));
    const [answer] = (await once(socket, 'message')) as [Buffer];
    this.#seen.add(`wire kind ${answer[1]}`);
    socket.send(withFaults(answer, [{ kind: 'set', at: bytes.length, byte: 255 }]));
    socket.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#caller[Symbol.asyncDispose]();
  }
}

async function openNetwork(seen: Sightings, isVerified: boolean): Promise<OpenTarget<readonly NetworkEvent[]>> {
  const cluster = await HostileCluster.start([`--verify=${isVerified ? 'all' : 'off'}`]);
  const round = new HostileRound(cluster, seen, isVerified);
  let rounds = 0;
  return {
    values: fc.array(events, { minLength: 1, maxLength: 12 }),
    check: async (value) => {
      for (const event of value) await round.play(event);
      await cluster.goodCommit(value.some(endsConnection) ? reconnectMsMax : 0);
      if (++rounds % 20 === 0) await cluster.checkSlots();
    },
    finish: async () => {
      round.endSilence();
      await cluster.checkSlots();
      await cluster.checkModel();
      const sorted = cluster.appliedMs.toSorted((a, b) => a - b);
      console.error(
        `good commits: p50 ${sorted[sorted.length >> 1]!.toFixed(0)} ms, max ${sorted.at(-1)!.toFixed(0)} ms`,
      );
    },
    show: (value) => value.map(showEvent).join('\n'),
    [Symbol.asyncDispose]: async () => {
      await round[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
    },
  };
}

function showEvent(event: NetworkEvent): string {
  if (event.kind === 'message') {
    const { op, type, body } = event.message;
    const frame = frameOf({ op, t: type }, body);
    return `message ${showBytes(event.faults === null ? frame : withFaults(frame, event.faults))}`;
  }
  if ('answer' in event) return `${event.kind} of ${event.did} ${event.answer.how} ${showBytes(event.answer.bytes)}`;
  if ('request' in event) {
    const { method, body } = event.request;
    return `request ${event.protocol} ${method} ${showBytes(body)}`;
  }
  if ('bytes' in event) return `${event.kind} ${showBytes(event.bytes)} ${fc.stringify({ ...event, bytes: null })}`;
  return fc.stringify(event);
}

/** Unverified, hostile commits get to the slots; verified, they may also speak for others. */
export const networkTargets: readonly FuzzTarget[] = [
  fuzzTarget(
    {
      name: 'network',
      lane: 'children',
      share: 3,
      expectedRuns: 100,
      expected: [
        'message',
        'repo',
        'document',
        'bytes',
        'json 200',
        'grpc over http2 grpc 0',
        'wire kind 1',
        'wire kind 2',
      ],
    },
    ({ seen }) => openNetwork(seen, false),
  ),
  fuzzTarget(
    {
      name: 'network verified',
      lane: 'children',
      share: 2,
      expectedRuns: 100,
      expected: ['message', 'repo', 'for another'],
    },
    ({ seen }) => openNetwork(seen, true),
  ),
];
