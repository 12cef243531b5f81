/** The page and its socket: who may watch, what a watcher is told, and that it is true. */
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { viewAccess } from '../../src/dashboard/dashboard.ts';
import { encodeMessage } from '../../src/proto/codec.ts';
import type { RunningRouter } from '../../src/router/router-server.ts';
import { didOf, emptyNetwork, FakeNodes, twoNodeMap } from '../support/fake-nodes.ts';
import { type LoneNode, startLoneNode } from '../support/lone-node.ts';
import { startTestRouter } from '../support/test-router.ts';
import { until } from '../support/until.ts';

type Message = Record<string, unknown> & { readonly type: string };
type Frame = { readonly endMs: number; readonly series: Record<string, { count: number }> };
type Process = { readonly process: string; readonly frames: Frame[] };

const nodes = new FakeNodes(twoNodeMap(), emptyNetwork());
const actors = encodeMessage('GetActorsRequest', { dids: [didOf(1), didOf(2)] });
let router: RunningRouter;

class Watcher {
  readonly socket: WebSocket;
  readonly messages: Message[] = [];

  constructor(port: number, headers: Record<string, string> = {}) {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/v1/live`, { headers });
    this.socket.on('error', () => {});
    this.socket.on('message', (data) => this.messages.push(JSON.parse(String(data)) as Message));
  }

  send(message: object | string): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  async first(type: string): Promise<Message> {
    return await until(() => this.messages.find((message) => message.type === type) ?? null);
  }

  /** Asks for what is in memory, and has what comes have the values of these series. */
  watch(prefixes: readonly string[], more: object = {}): void {
    this.send({ type: 'watch', spanS: 1, sinceMs: 0, prefixes, process: null, ...more });
  }

  /** Returns how often something was counted in all seconds so far. */
  countOf(process: string, key: string): number {
    const frames = this.messages
      .flatMap((message) => (message['processes'] ?? []) as Process[])
      .filter((one) => one.process === process)
      .flatMap((one) => one.frames);
    const byEnd = new Map(frames.map((frame) => [frame.endMs, frame.series[key]?.count ?? 0]));
    return [...byEnd.values()].reduce((sum, count) => sum + count, 0);
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }
}

beforeAll(async () => {
  router = await startTestRouter({ map: nodes.map, caller: nodes });
});

afterAll(() => router.close());

describe('the page', () => {
  it('is small, loads nothing from elsewhere, and says so', async () => {
    let bytes = 0;
    for (const path of ['/', '/dashboard/page.js', '/dashboard/page.css']) {
      const response = await fetch(`http://127.0.0.1:${router.port}${path}`);
      expect(response.status, path).toBe(200);
      expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
      const text = await response.text();
      bytes += text.length;
      expect(text).not.toMatch(/(?:src|href|url)\s*[=(:]\s*["']?(?:https?:)?\/\//);
    }
    expect(bytes).toBeLessThan(200_000);
    expect(bytes).toBeGreaterThan(50_000);
  }, 60_000);

  it('is not given to a host name that the listener does not have', async () => {
    const { status } = await new Promise<{ status: number }>((resolve) => {
      void import('node:http').then(({ get }) =>
        get({ port: router.port, headers: { host: 'evil.example' } }, (response) => {
          response.resume();
          resolve({ status: response.statusCode! });
        }),
      );
    });
    expect(status).toBe(403);
  });
});

describe('a watcher on loopback', () => {
  it('is told what the router answers, once', async () => {
    using watcher = new Watcher(router.port);
    expect(await watcher.first('access')).toMatchObject({ access: 'open' });
    watcher.watch(['request|', 'caller|', 'items|']);
    await watcher.first('frames');
    await watcher.first('now');
    const before = watcher.countOf('router', 'request|GetActors|ok');
    for (let turn = 0; turn < 9; turn++) {
      await router.router.handle('GetActors', Buffer.from(actors), { caller: 'app', timeoutMs: null });
    }
    await until(() => watcher.countOf('router', 'request|GetActors|ok') === before + 9);
    await until(() => watcher.countOf('router', 'caller|app') === 9);
    expect(watcher.countOf('router', 'items|GetActors')).toBe(9);
    const { cluster } = (await until(() => watcher.messages.find((message) => 'cluster' in message) ?? null)) as {
      cluster?: { nodes: { name: string; state: string }[] };
    };
    expect(cluster!.nodes.map(({ name }) => name)).toEqual(['n0', 'n1']);
  });

  it('begins with what is in memory, though nobody watched then', async () => {
    for (let turn = 0; turn < 7; turn++) {
      await router.router.handle('GetActors', Buffer.from(actors), { caller: 'before', timeoutMs: null });
    }
    const opened = async (): Promise<Watcher> => {
      const watcher = new Watcher(router.port);
      await watcher.first('access');
      watcher.watch(['caller|']);
      await watcher.first('frames');
      return watcher;
    };
    await until(async () => {
      using early = await opened();
      return early.countOf('router', 'caller|before') === 7;
    });
    using watcher = await opened();
    expect(watcher.countOf('router', 'caller|before')).toBe(7);
    await until(() => watcher.messages.filter(({ type }) => type === 'now').length >= 3);
    expect(watcher.countOf('router', 'caller|before')).toBe(7);
    const { names } = watcher.messages.find(({ type }) => type === 'frames') as unknown as { names: string[] };
    expect(names).toContain('request|GetActors|ok');
  }, 20_000);

  it('gets longer frames, and the values only of what it looks at', async () => {
    using watcher = new Watcher(router.port);
    await watcher.first('access');
    await router.router.handle('GetActors', Buffer.from(actors), { caller: 'app', timeoutMs: null });
    const keys = await until(async () => {
      watcher.messages.length = 0;
      watcher.watch(['request'], { spanS: 5 });
      const { processes, spanS } = (await watcher.first('frames')) as unknown as {
        processes: Process[];
        spanS: number;
      };
      expect(spanS).toBe(5);
      const found = processes.flatMap(({ frames }) => frames.flatMap(({ series }) => Object.keys(series)));
      return found.length === 0 ? null : found;
    });
    expect(new Set(keys.map((key) => key.split('|')[0]))).toEqual(new Set(['request']));
    watcher.messages.length = 0;
    watcher.watch(['request'], { process: 'n0', spanS: 5 });
    const { processes } = (await watcher.first('frames')) as unknown as { processes: Process[] };
    const own = processes.find(({ process }) => process === 'router')!;
    expect(own.frames.flatMap(({ series }) => Object.keys(series))).toEqual([]);
  }, 20_000);

  it.each([
    'nonsense',
    '{}',
    '{"type":"watch"}',
    '{"type":"watch","spanS":2,"sinceMs":0,"prefixes":[],"process":null}',
    `{"type":"watch","spanS":1,"sinceMs":0,"prefixes":${JSON.stringify(new Array(9).fill('a'))},"process":null}`,
  ])('is cut off after %s', async (text) => {
    using watcher = new Watcher(router.port);
    await watcher.first('access');
    watcher.send(text);
    const [code] = (await once(watcher.socket, 'close')) as [number];
    expect(code).toBe(1008);
  });

  it.each([
    ['of another origin', { origin: 'https://evil.example' }],
    ['of another site', { 'sec-fetch-site': 'cross-site' }],
    ['of another host', { host: 'evil.example' }],
  ])('is refused if its page is %s', async (_what, headers) => {
    using watcher = new Watcher(router.port, headers);
    const [, response] = (await once(watcher.socket, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(403);
  });

  it('is let in from the own page', async () => {
    using watcher = new Watcher(router.port, { origin: `http://127.0.0.1:${router.port}` });
    expect(await watcher.first('access')).toMatchObject({ access: 'open' });
  });
});

describe('a view token', () => {
  const tokens = { adminToken: 'admin-token-0123456789', viewToken: 'view-token-0123456789' };

  it('opens the page and the metrics, and nothing else; no other token opens the page', async () => {
    await using other = await startTestRouter({ map: nodes.map, caller: nodes }, tokens);
    for (const [token, isAdmitted] of [
      ['wrong', false],
      [tokens.adminToken, false],
      [tokens.viewToken, true],
    ] as const) {
      using watcher = new Watcher(other.port);
      expect(await watcher.first('access')).toMatchObject({ access: 'token' });
      watcher.send({ type: 'login', token });
      expect(await watcher.first('login')).toEqual({ type: 'login', isAdmitted });
      watcher.watch(['request']);
      if (isAdmitted) await watcher.first('now');
    }
    const statusOf = async (path: string, token: string): Promise<number> =>
      (await fetch(`http://127.0.0.1:${other.port}${path}`, { headers: { authorization: `Bearer ${token}` } })).status;
    expect(await statusOf('/metrics', tokens.viewToken)).toBe(200);
    expect(await statusOf('/metrics', 'wrong')).toBe(401);
    expect(await statusOf('/v1/status', tokens.viewToken)).toBe(401);
    expect(await statusOf('/v1/histograms', tokens.viewToken)).toBe(401);
    expect(await statusOf('/v1/status', tokens.adminToken)).toBe(200);
  });

  it('is needed where another token is, and must be another one', async () => {
    await using other = await startTestRouter({ map: nodes.map, caller: nodes }, { adminToken: tokens.adminToken });
    using watcher = new Watcher(other.port);
    expect(await watcher.first('access')).toMatchObject({ access: 'closed', why: /--view-token-file/ });
    await expect(
      startTestRouter(
        { map: nodes.map, caller: nodes },
        { adminToken: tokens.adminToken, viewToken: tokens.adminToken },
      ),
    ).rejects.toMatchObject({ code: 'ConfigInvalid' });
  });

  it('is needed beyond loopback, where nobody watches without one', () => {
    const kindOf = (...words: Parameters<typeof viewAccess>): string => viewAccess(...words).kind;
    expect(kindOf('127.0.0.1', null, [null, null])).toBe('open');
    for (const host of ['0.0.0.0', '::', '10.0.0.1']) {
      expect([kindOf(host, null, [null, null]), kindOf(host, tokens.viewToken, [null])]).toEqual(['closed', 'token']);
    }
  });

  it('that does not come in time ends the socket, which was told nothing', async () => {
    await using other = await startTestRouter({ map: nodes.map, caller: nodes }, tokens);
    using watcher = new Watcher(other.port);
    await watcher.first('access');
    const [code] = (await once(watcher.socket, 'close')) as [number];
    expect(code).toBe(1008);
    expect(watcher.messages.map(({ type }) => type)).toEqual(['access']);
  }, 30_000);
});

describe('a node', () => {
  let node: LoneNode;

  beforeAll(async () => {
    node = await startLoneNode({ slots: 2, applyThreads: 1 });
  });

  afterAll(() => node[Symbol.asyncDispose]());

  it('has a page of its own, with its slots', async () => {
    const { port } = node.map.nodes.get('n0')!;
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
    using watcher = new Watcher(port);
    const now = (await until(() => watcher.messages.find((message) => 'cluster' in message) ?? null)) as unknown as {
      cluster: { nodes: { name: string; slots: unknown[] }[] };
    };
    const shown = now.cluster.nodes.map(({ name, slots }) => ({
      name,
      slots: slots.map((slot) => (slot as unknown[]).slice(0, 3)),
    }));
    expect(shown).toEqual([
      {
        name: 'n0',
        slots: [
          [0, 'primary', 'complete'],
          [1, 'primary', 'complete'],
        ],
      },
    ]);
  });
});
