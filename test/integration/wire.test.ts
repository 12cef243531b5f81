/**
 * Calls over the wire: batching, deadlines, limits, and peers that are slow, gone, silent or
 * malicious.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { DataPlaneError, type ErrorCode } from '../../src/base/data-plane-error.ts';
import { breakerPauseMs, timeoutsInRowMax } from '../../src/wire/breaker.ts';
import { FrameBatch, messageBytesMax, payloadBytesMax, wireSubprotocol, wireVersion } from '../../src/wire/frame.ts';
import { NodeClient, type NodeClientOptions } from '../../src/wire/node-client.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { stopAfterEach } from '../support/stop-after-each.ts';
import { until } from '../support/until.ts';
import { mapOfPorts, startWireNode, type WireNode } from '../support/wire-node.ts';

const resources = stopAfterEach();

async function startNode(options?: Parameters<typeof startWireNode>[0]): Promise<WireNode> {
  const node = await startWireNode(options);
  resources.defer(() => node.close());
  return node;
}

function openClient(ports: readonly number[], options: Partial<NodeClientOptions> = {}): NodeClient {
  const client = new NodeClient({ map: mapOfPorts(ports), seed: 1, ...options });
  resources.defer(() => client[Symbol.asyncDispose]());
  return client;
}

function call(
  client: NodeClient,
  method: string,
  payload: string | Uint8Array = '',
  timeoutMs = 10_000,
): Promise<Buffer> {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  return client.call({ node: 'n0', method, payload: bytes, timeoutMs }).then((answer) => Buffer.from(answer));
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

async function codeOf(promise: Promise<unknown>): Promise<ErrorCode> {
  try {
    await promise;
  } catch (thrown) {
    if (thrown instanceof DataPlaneError) return thrown.code;
    throw thrown;
  }
  throw new Error('the call was answered');
}

/** Starts a node in its own process. */
async function spawnNode(port = 0): Promise<{ port: number; kill: (signal: NodeJS.Signals) => Promise<void> }> {
  const script = join(import.meta.dirname, '../support/wire-node.ts');
  const child = spawn(process.execPath, [script, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  resources.defer(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    if (signal === 'SIGKILL') await ended;
  };
  return { port: JSON.parse(String(line)).port, kill };
}

/** Connects to `/wire` without our client. */
async function openRaw(port: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/wire`, wireSubprotocol);
  resources.defer(() => socket.terminate());
  await once(socket, 'open');
  return socket;
}

describe('calls over the wire', () => {
  it('answer ten thousand at once, each with its own payload, in few messages', async () => {
    const node = await startNode();
    const client = openClient([node.port]);
    // A busy machine takes longer over so many calls than a handshake may.
    await call(client, 'echo');
    const answers = await Promise.all(
      Array.from({ length: 10_000 }, (_unused, index) =>
        call(client, index % 2 ? 'echo' : 'later', `payload ${index}`),
      ),
    );
    expect(answers.map(String)).toEqual(Array.from({ length: 10_000 }, (_unused, index) => `payload ${index}`));
    expect(client.snapshot()['n0']).toMatchObject({ callsInFlight: 0, bytesInFlight: 0, connectCount: 1 });
    expect(node.server.snapshot).toMatchObject({ callCount: 10_001, callsRunning: 0 });
    expect(client.snapshot()['n0']!.sentMessageCount).toBeLessThan(100);
    expect(node.server.snapshot.sentMessageCount).toBeLessThan(500);
  });

  it('carry empty, large and largest payloads both ways', async () => {
    const node = await startNode();
    const client = openClient([node.port]);
    expect((await call(client, 'echo')).length).toBe(0);
    for (const bytes of [100_000, 8 * 1024 * 1024, payloadBytesMax]) {
      const answer = await call(client, 'echo', Buffer.alloc(bytes, 5));
      expect(answer.length).toBe(bytes);
      expect(answer[0]! + answer[bytes - 1]!).toBe(10);
    }
    const mixed = await Promise.all([call(client, 'fill', u32(5_000_000)), call(client, 'echo', 'small')]);
    expect([mixed[0].length, String(mixed[1])]).toEqual([5_000_000, 'small']);
  });

  it('refuse payloads above the limit at either end, and continue', async () => {
    const node = await startNode();
    const client = openClient([node.port]);
    expect(await codeOf(call(client, 'echo', Buffer.alloc(payloadBytesMax + 1)))).toBe('ResourceExhausted');
    expect(await codeOf(call(client, 'fill', u32(payloadBytesMax + 1)))).toBe('ResourceExhausted');
    expect(String(await call(client, 'echo', 'fine'))).toBe('fine');
    expect(client.snapshot()['n0']?.connectCount).toBe(1);
  });

  it('raise errors with the code and message of the handler', async () => {
    const node = await startNode();
    const client = openClient([node.port]);
    await expect(call(client, 'fail', 'Aborted:mark 41')).rejects.toMatchObject({
      code: 'Aborted',
      message: 'mark 41',
    });
    await expect(call(client, 'throw')).rejects.toMatchObject({ code: 'Internal', message: 'a defect' });
    await expect(call(client, 'nothing')).rejects.toMatchObject({ code: 'Unimplemented' });
    await expect(call(client, 'fail', 'NoSuchCode:x')).rejects.toMatchObject({ code: 'Internal' });
    expect(node.server.snapshot.errorCountByCode).toMatchObject({ Aborted: 1, Internal: 1, Unimplemented: 1 });
    expect(node.faults).toEqual([]);
  });

  it('report a broken invariant to the owner of the node, and answer Internal', async () => {
    const node = await startNode();
    const client = openClient([node.port]);
    expect(await codeOf(call(client, 'break'))).toBe('Internal');
    expect(node.faults).toEqual([{ method: 'break', message: 'broken invariant: a test may break this' }]);
  });

  it('carry the epoch in both directions', async () => {
    const node = await startNode({ epoch: () => 9 });
    const seen: [string, number][] = [];
    const client = openClient([node.port], {
      map: mapOfPorts([node.port], 7),
      onOtherEpoch: (name, epoch) => void seen.push([name, epoch]),
    });
    await call(client, 'echo');
    expect(node.contexts[0]).toMatchObject({ method: 'echo', epoch: 7 });
    expect(seen).toEqual([['n0', 9]]);
    client.setMap(mapOfPorts([node.port], 9));
    await call(client, 'echo');
    expect(node.contexts[1]?.epoch).toBe(9);
    expect(seen.length).toBe(1);
    expect(client.snapshot()['n0']?.connectCount).toBe(1);
  });
});

describe('deadlines', () => {
  it('end calls that are not answered', async () => {
    const node = await startNode();
    const clock = new ManualClock();
    const client = openClient([node.port], { clock });
    await call(client, 'echo');
    const first = codeOf(call(client, 'silent', '', 60));
    clock.advance(59);
    const second = codeOf(call(client, 'silent', '', 0.5));
    clock.advance(0.5);
    expect(await second).toBe('DeadlineExceeded');
    expect(client.snapshot()['n0']).toMatchObject({ timeoutCount: 1, callsInFlight: 1 });
    clock.advance(0.5);
    expect(await first).toBe('DeadlineExceeded');
    expect(await codeOf(call(client, 'echo', '', 0))).toBe('DeadlineExceeded');
    expect(await codeOf(call(client, 'echo', '', Number.NaN))).toBe('DeadlineExceeded');
    expect(client.snapshot()['n0']).toMatchObject({ timeoutCount: 2, callsInFlight: 0 });
  });

  it('keep the node from running calls whose callers no longer wait, and late answers are dropped', async () => {
    const child = await spawnNode();
    const client = openClient([child.port]);
    await call(client, 'echo');
    const blocked = call(client, 'block', u32(150));
    const late = codeOf(call(client, 'later', '', 50));
    expect(await late).toBe('DeadlineExceeded');
    await blocked;
    const answer = call(client, 'echo', 'after');
    expect(String(await answer)).toBe('after');
    expect(client.snapshot()['n0']?.lateAnswerCount).toBe(1);
    expect(JSON.parse(String(await call(client, 'ran')))).toEqual(['echo', 'block', 'echo', 'ran']);
  });

  it('open the breaker when a node accepts calls without answering, until it answers again', async () => {
    const node = await startNode();
    const client = openClient([node.port]);
    await call(client, 'echo');
    const silent = Array.from({ length: timeoutsInRowMax }, () => codeOf(call(client, 'silent', '', 30)));
    expect(new Set(await Promise.all(silent))).toEqual(new Set(['DeadlineExceeded']));
    expect(client.snapshot()['n0']?.isBreakerOpen).toBe(true);
    expect(await codeOf(call(client, 'echo'))).toBe('Unavailable');
    const answer = await until(() => call(client, 'echo', 'again').catch(() => null), breakerPauseMs * 3);
    expect(String(answer)).toBe('again');
    expect(client.snapshot()['n0']).toMatchObject({ isBreakerOpen: false, breakerOpenings: 1, breakerTrials: 1 });
  });
});

describe('a node that stands still', () => {
  it('is called no more until it answers a ping, and no call is spent on trying', async () => {
    const child = await spawnNode();
    const client = openClient([child.port], { limits: { quietMsMax: 50, pongMsMax: 50 } });
    await call(client, 'echo');
    const blocked = call(client, 'block', u32(1_500));
    await until(() => client.snapshot()['n0']!.isBreakerOpen);
    expect(await codeOf(call(client, 'echo'))).toBe('Unavailable');
    await blocked;
    expect(String(await call(client, 'echo', 'again'))).toBe('again');
    expect(client.snapshot()['n0']).toMatchObject({ breakerOpenings: 1, breakerTrials: 0, connectCount: 1 });
  });

  it('is called again when the ping is answered, though no call waits any more', async () => {
    const child = await spawnNode();
    const client = openClient([child.port], { limits: { quietMsMax: 20, pongMsMax: 20 } });
    await call(client, 'echo');
    const given = codeOf(call(client, 'block', u32(1_500), 500));
    await until(() => client.snapshot()['n0']!.isBreakerOpen);
    expect(await given).toBe('DeadlineExceeded');
    expect(client.snapshot()['n0']).toMatchObject({ isBreakerOpen: true, callsInFlight: 0 });
    await until(() => !client.snapshot()['n0']!.isBreakerOpen);
    expect(String(await call(client, 'echo', 'again'))).toBe('again');
  });
});

describe('a node that disappears', () => {
  it('fails its calls as Unavailable when it is killed, and serves them once it is back', async () => {
    const first = await spawnNode();
    const client = openClient([first.port]);
    await call(client, 'echo');
    const waiting = Array.from({ length: 100 }, () => codeOf(call(client, 'silent')));
    await until(() => client.snapshot()['n0']!.callsInFlight === 100);
    await first.kill('SIGKILL');
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['Unavailable']));
    expect(client.snapshot()['n0']).toMatchObject({ callsInFlight: 0, bytesInFlight: 0 });
    const nextTurn = new Promise((resolve) => setImmediate(resolve, 'still waiting'));
    expect(await Promise.race([codeOf(call(client, 'echo')), nextTurn])).toBe('Unavailable');
    await spawnNode(first.port);
    const answer = await until(() => call(client, 'echo', 'back').catch(() => null));
    expect(String(answer)).toBe('back');
  });

  it('is tried again often while nothing listens there, so that it is soon found once it comes up', async () => {
    // Not `startNode`, which would close it once more at the end.
    const node = await startWireNode();
    node.close();
    const client = openClient([node.port]);
    expect(await codeOf(call(client, 'echo'))).toBe('Unavailable');
    // With pauses that doubled up to 2 s, so many attempts would take 9 s and more.
    await until(() => client.snapshot()['n0']!.connectCount > 14, 6_000);
    await startNode({ port: node.port });
    expect(String(await until(() => call(client, 'echo', 'up').catch(() => null)))).toBe('up');
  });

  it('is disconnected if it stays silent, even to pings', async () => {
    const child = await spawnNode();
    const client = openClient([child.port], { limits: { silenceMsMax: 800 } });
    await call(client, 'echo');
    await child.kill('SIGSTOP');
    await expect(call(client, 'echo', '', 20_000)).rejects.toThrow(/silent for/);
    await child.kill('SIGCONT');
    const answer = await until(() => call(client, 'echo', 'awake').catch(() => null));
    expect(String(answer)).toBe('awake');
  });

  it('keeps an idle connection alive by answering pings', async () => {
    const node = await startNode();
    const client = openClient([node.port], { limits: { silenceMsMax: 1500 } });
    await call(client, 'echo');
    const slow = call(client, 'silent', '', 3500);
    expect(await codeOf(slow)).toBe('DeadlineExceeded');
    expect(client.snapshot()['n0']).toMatchObject({ state: 'open', connectCount: 1 });
  });

  it('is Unavailable by name if it never ran, or if the map does not name it', async () => {
    const node = await startNode();
    node.close();
    const client = openClient([node.port]);
    await expect(call(client, 'echo')).rejects.toMatchObject({ code: 'Unavailable', message: /n0/ });
    await expect(client.call({ node: 'n7', method: 'echo', payload: u32(1), timeoutMs: 100 })).rejects.toMatchObject({
      code: 'Unavailable',
      message: /n7.*epoch 1/,
    });
  });

  it('whose address changes finishes its calls on the old connection', async () => {
    const [one, two] = [await startNode(), await startNode()];
    const client = openClient([one.port]);
    await call(client, 'echo');
    const running = call(client, 'later', 'old');
    client.setMap(mapOfPorts([two.port], 2));
    expect(String(await call(client, 'echo', 'new'))).toBe('new');
    expect(String(await running)).toBe('old');
    await until(() => one.server.snapshot.connections === 0);
    expect(two.contexts.length).toBe(1);
  });

  it('answers running calls before it stops, and refuses others', async () => {
    const node = await startNode();
    const client = openClient([node.port]);
    await call(client, 'echo');
    const running = Array.from({ length: 50 }, (_unused, index) => call(client, 'later', `running ${index}`));
    await until(() => node.server.snapshot.callsRunning === 50 || node.contexts.length === 51);
    await node.server.stop(5000);
    expect((await Promise.all(running)).length).toBe(50);
    await until(() => client.snapshot()['n0']?.state !== 'open');
    await expect(call(client, 'echo')).rejects.toMatchObject({ code: 'Unavailable' });
  });
});

describe('the client', () => {
  it('refuses calls and bytes above its limits while others wait', async () => {
    const node = await startNode();
    const client = openClient([node.port], { limits: { callsInFlightMax: 10, bytesInFlightMax: 1000 } });
    const waiting = Array.from({ length: 10 }, () => codeOf(call(client, 'silent', '', 200)));
    expect(await codeOf(call(client, 'echo'))).toBe('ResourceExhausted');
    await Promise.all(waiting);
    const big = codeOf(call(client, 'silent', Buffer.alloc(900), 200));
    expect(await codeOf(call(client, 'echo', Buffer.alloc(200)))).toBe('ResourceExhausted');
    expect(String(await call(client, 'echo', 'small'))).toBe('small');
    await big;
  });

  it('fails pending calls when it is disposed, and all later ones', async () => {
    const node = await startNode();
    const client = openClient([node.port]);
    const waiting = codeOf(call(client, 'silent'));
    await client[Symbol.asyncDispose]();
    expect(await waiting).toBe('Unavailable');
    expect(await codeOf(call(client, 'echo'))).toBe('Unavailable');
    await until(() => node.server.snapshot.connections === 0);
  });

  it('disconnects a server that sends malformed bytes', async () => {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => wireSubprotocol });
    resources.defer(() => server.close());
    server.on('connection', (socket) => socket.on('message', () => socket.send(Buffer.alloc(40, 0xff))));
    await once(server, 'listening');
    const client = openClient([(server.address() as AddressInfo).port]);
    await expect(call(client, 'echo')).rejects.toMatchObject({
      code: 'Unavailable',
      message: /malformed: unknown version/,
    });
  });
});

describe('bad peers of a node', () => {
  it('are closed with a reason, counted, and do not affect others', async () => {
    const node = await startNode();
    const client = openClient([node.port]);
    await call(client, 'echo');
    const answer = new FrameBatch();
    answer.addAnswer(1, 1, Buffer.alloc(0));
    const cases: [message: Buffer | string, reason: string][] = [
      [Buffer.alloc(100, 0xff), 'unknown version'],
      [Buffer.concat([Buffer.from([wireVersion]), Buffer.alloc(17, 0xff)]), 'frame is cut off'],
      [Buffer.concat([Buffer.from([wireVersion]), Buffer.alloc(500, 0x81)]), 'unknown frame kind'],
      [Buffer.concat([Buffer.from([wireVersion, 0]), Buffer.alloc(500, 0x81)]), 'name too long'],
      [Buffer.from('hello, node'), 'unknown version'],
      ['text', 'message is text'],
      [Buffer.from(answer.take()), 'frame goes the wrong way'],
    ];
    for (const [message, reason] of cases) {
      const socket = await openRaw(node.port);
      const closed = once(socket, 'close');
      socket.send(message);
      const [code, closeReason] = await closed;
      expect([code, String(closeReason)]).toEqual([1002, reason]);
    }
    expect(node.server.snapshot.malformedCountByReason).toEqual({
      'unknown version': 2,
      'frame is cut off': 1,
      'unknown frame kind': 1,
      'name too long': 1,
      'message is text': 1,
      'frame goes the wrong way': 1,
    });
    expect(String(await call(client, 'echo', 'unharmed'))).toBe('unharmed');
  });

  it('that send a message above the limit are cut off', async () => {
    const node = await startNode();
    const socket = await openRaw(node.port);
    const closed = once(socket, 'close');
    socket.on('error', () => {});
    socket.send(Buffer.alloc(messageBytesMax + 1));
    await closed;
    const client = openClient([node.port]);
    expect(String(await call(client, 'echo', 'fine'))).toBe('fine');
  });

  it('that send garbage instead of HTTP or WebSocket do not stop the node', async () => {
    const node = await startNode();
    const garbage = connectTcp(node.port, '127.0.0.1');
    garbage.on('error', () => {});
    garbage.resume();
    garbage.write(Buffer.alloc(4096, 0xee));
    await once(garbage, 'close');
    const raw = await openRaw(node.port);
    const rawClosed = once(raw, 'close');
    raw.on('error', () => {});
    // @ts-expect-error The underlying socket is not in the types.
    raw._socket.write(Buffer.alloc(4096, 0xee));
    await rawClosed;
    expect(String(await call(openClient([node.port]), 'echo', 'fine'))).toBe('fine');
  });

  it('that do not read their answers are refused new work, then closed', async () => {
    const node = await startNode({ limits: { unreadBytesMax: 2_000_000, unreadBytesHardMax: 16_000_000 } });
    const socket = await openRaw(node.port);
    // @ts-expect-error The underlying socket is not in the types.
    socket._socket.pause();
    const batch = new FrameBatch();
    let id = 0;
    await until(() => {
      batch.addCall(++id, 1, 'fill', 60_000, u32(200_000));
      socket.send(Buffer.from(batch.take()));
      return node.server.snapshot.errorCountByCode['ResourceExhausted'] ?? 0;
    });
    const ranCount = node.contexts.length;
    batch.addCall(++id, 1, 'fill', 60_000, u32(200_000));
    socket.send(Buffer.from(batch.take()));
    await until(() => (node.server.snapshot.errorCountByCode['ResourceExhausted'] ?? 0) > 1);
    expect(node.contexts.length).toBe(ranCount);
    // A single large answer exceeds the hard limit at once.
    const other = await openRaw(node.port);
    // @ts-expect-error The underlying socket is not in the types.
    other._socket.pause();
    batch.addCall(1, 1, 'fill', 60_000, u32(payloadBytesMax));
    other.send(Buffer.from(batch.take()));
    await until(() => node.server.snapshot.slowReaderCount === 1);
    expect(String(await call(openClient([node.port]), 'echo', 'fine'))).toBe('fine');
  });

  it('without the token or of another version are refused in the handshake', async () => {
    const node = await startNode({ clusterToken: 'secret' });
    const without = openClient([node.port]);
    await expect(call(without, 'echo')).rejects.toMatchObject({
      code: 'Unavailable',
      message: /401 the cluster token is needed: start the caller with --cluster-token-file/,
    });
    const wrong = openClient([node.port], { clusterToken: 'secreT' });
    await expect(call(wrong, 'echo')).rejects.toMatchObject({ code: 'Unavailable', message: /401/ });
    const right = openClient([node.port], { clusterToken: 'secret' });
    expect(String(await call(right, 'echo', 'in'))).toBe('in');
    const older = new WebSocket(`ws://127.0.0.1:${node.port}/wire`, 'skyshard.wire.0', {
      headers: { authorization: 'Bearer secret' },
    });
    const [error] = await once(older, 'error');
    expect(String(error)).toMatch(/400/);
    expect(node.server.snapshot.connections).toBe(1);
    expect(node.server.snapshot.refusedHandshakeCount).toBeGreaterThanOrEqual(3);
  });

  it('of another version are reported to their callers', async () => {
    const text = 'the WebSocket subprotocol must be skyshard.wire.99';
    const newer = createServer((socket) => {
      socket.end(`HTTP/1.1 400 Bad Request\r\ncontent-length: ${text.length}\r\nconnection: close\r\n\r\n${text}`);
    });
    resources.defer(() => void newer.close());
    await once(newer.listen(0, '127.0.0.1'), 'listening');
    await expect(call(openClient([(newer.address() as AddressInfo).port]), 'echo')).rejects.toMatchObject({
      code: 'Unavailable',
      message: /refused with 400 the WebSocket subprotocol must be skyshard\.wire\.99/,
    });
  });

  it('above the limit on connections are refused', async () => {
    const node = await startNode({ limits: { connectionsMax: 2 } });
    await openRaw(node.port);
    await openRaw(node.port);
    await expect(openRaw(node.port)).rejects.toThrow(/503/);
  });
});
