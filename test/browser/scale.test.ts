/** The page with 64 nodes, 4,096 slots, an hour of frames, and moves: what it draws is bounded. */

import { type Browser, chromium, type Page, type WebSocketRoute } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RunningRouter } from '../../src/router/router-server.ts';
import { emptyNetwork, FakeNodes, twoNodeMap } from '../support/fake-nodes.ts';
import { startTestRouter } from '../support/test-router.ts';
import { until } from '../support/until.ts';

const nodeNames = Array.from({ length: 64 }, (_unused, index) => `n${index}`);
const slots = 4_096;
const slotsOfNode = slots / nodeNames.length;
const framesKept = 120;
const startMs = 1_800_000_000_000;

let router: RunningRouter;
let browser: Browser;

beforeAll(async () => {
  const nodes = new FakeNodes(twoNodeMap(), emptyNetwork());
  router = await startTestRouter({ map: nodes.map, caller: nodes });
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
}, 60_000);

afterAll(async () => {
  await browser.close();
  await router.close();
});

function frameOf(node: number, endMs: number, spanS: number, prefixes: readonly string[]): object {
  const counts = Array.from({ length: 60 }, (_unused, at) => (at % 2 === 0 ? 100 * (1 + at) + node : 5));
  const series = Object.fromEntries(
    prefixes.map((prefix) => [
      prefix.endsWith('|') ? `${prefix}GetTimeline` : prefix,
      { count: 150, sum: 1e6, counts },
    ]),
  );
  const gauges = { residentBytes: 1e9 + node, cpuSeconds: endMs / 1e5, eventLoopSeconds: 0.002 };
  const totals = { 'request|ok': [100 + node, 1e6], 'request|late': [node, 1e6], call: [150, 1e6], commit: [9, 1e5] };
  return {
    endMs: endMs + node,
    spanMs: 1_000 * spanS,
    series,
    totals,
    slotReads: [node * slotsOfNode, 50 + node],
    gauges,
  };
}

function processesOf(endMs: number, spanS: number, prefixes: readonly string[], count: number): object[] {
  return nodeNames.map((process, node) => ({
    process,
    bits: 8,
    frames: Array.from({ length: count }, (_unused, index) =>
      frameOf(node, endMs - 1_000 * spanS * (count - 1 - index), spanS, prefixes),
    ),
  }));
}

function clusterOf(tick: number): object {
  const slotRow = (slot: number): unknown[] => [slot, 'primary', 'complete', 100 + tick, 0, 0, 0, 1e6 + slot, 0];
  const nodes = nodeNames.map((name, node) => ({
    name,
    state: 'up',
    error: '',
    epoch: 7,
    upMs: 1e6,
    slotMapBytes: 1e9,
    freeBytes: 5e11,
    // Not in each message, where there are many.
    slots:
      tick % 4 === 0 ? Array.from({ length: slotsOfNode }, (_unused, at) => slotRow(node * slotsOfNode + at)) : null,
  }));
  const shards = nodeNames.map((primary) => ({
    name: `s-${primary}`,
    primary,
    replicas: [],
    slots: slotsOfNode,
    unwell: 0,
    lagMs: 100,
    behindMs: 0,
    bytes: 1e9,
  }));
  const bytesDone = 2 ** 20 * Math.min(100, 10 + 10 * tick);
  const move = { from: 'n0', to: 'n63', bytes: 100 * 2 ** 20, bytesDone };
  const groups = [{ ...move, slots: 2, countByPhase: { copying: 1, ready: 1 }, entriesBehind: 12 }];
  const moving = { ...move, slotBytes: 1e6, entriesBehind: null, isInStep: false, state: 'its copy arrives' };
  return { epoch: 7, slots, nodes, shards, moves: { groups, slots: [{ ...moving, slot: 5, phase: 'copying' }] } };
}

type Watching = {
  readonly spanS: number;
  readonly sinceMs: number;
  readonly prefixes: string[];
  readonly process: string | null;
};

/** Plays a server: answers what the page asks for, and sends a message for each call of `tick`. */
async function open(view: string): Promise<{ page: Page; tick: () => void; problems: string[]; asked: Watching[] }> {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  const asked: Watching[] = [];
  let socket: WebSocketRoute | null = null;
  let ticks = 0;
  const names = ['request|GetTimeline|ok', 'call|bsky.GetTimeline'];
  await page.routeWebSocket(/\/v1\/live$/, (route) => {
    socket = route;
    route.send(JSON.stringify({ type: 'access', access: 'open', why: '' }));
    route.onMessage((text) => {
      const question = JSON.parse(String(text)) as Watching;
      asked.push(question);
      const { spanS, sinceMs, prefixes } = question;
      const endMs = startMs + 1_000 * ticks;
      const count = sinceMs === 0 ? framesKept : 1;
      const processes = processesOf(endMs, spanS, prefixes, count);
      route.send(JSON.stringify({ ...question, type: 'frames', atMs: endMs, names, processes }));
    });
  });
  const tick = (): void => {
    ticks++;
    const endMs = startMs + 1_000 * ticks;
    const prefixes = asked.at(-1)?.prefixes ?? [];
    const more = { cluster: clusterOf(ticks - 1), ingest: null, slowest: [] };
    const processes = processesOf(endMs, 1, prefixes, 1);
    socket?.send(JSON.stringify({ type: 'now', atMs: endMs, names, processes, ...more }));
  };
  await page.goto(`http://127.0.0.1:${router.port}/#${view}`);
  await until(() => asked.length > 0);
  tick();
  await page.waitForSelector('main section');
  return { page, tick, problems, asked };
}

it('shows all nodes and slots, and changes only what changed', async () => {
  const { page, tick, problems } = await open('view=cluster&by=size');
  await page.waitForFunction((count) => document.querySelectorAll('.slots button').length === count, slots);
  expect(await page.locator('section:has(h2:text("Nodes")) tbody tr').count()).toBe(64);
  expect(await page.locator('section:has(h2:text("Shards")) tbody tr').count()).toBe(64);
  await page.evaluate(() => {
    const changes = { count: 0 };
    Object.assign(window, { changes });
    const observer = new MutationObserver((records) => {
      changes.count += records.length;
    });
    observer.observe(document.querySelector('.slots')!, { childList: true, subtree: true, attributes: true });
  });
  for (let count = 0; count < 8; count++) tick();
  await page.waitForFunction(() => document.body.textContent!.includes('90 MiB of 100 MiB'));
  // Sizes stay, so no button was touched.
  expect(await page.evaluate(() => (window as unknown as { changes: { count: number } }).changes.count)).toBe(0);
  expect(problems).toEqual([]);
  await page.context().close();
}, 60_000);

it('says of moves how far they are, how fast, and when they are through', async () => {
  const { page, tick, problems } = await open('view=cluster');
  tick();
  await page.waitForFunction(() => document.body.textContent!.includes('20 MiB of 100 MiB'));
  const row = page.locator('section:has(h2:text("Moves")) tr:has(td:text-is("n0 → n63"))');
  expect(await row.first().locator('td').allTextContents()).toEqual([
    'n0 → n63',
    '2',
    '1 copying, 1 in step',
    '20 MiB of 100 MiB',
    '10 MiB/s',
    '8 s',
    '12',
  ]);
  const slot = page.locator('section:has(h2:text("Moves")) tr:has(td:text-is("5")) td');
  expect(await slot.allTextContents()).toEqual([
    '5',
    'n0 → n63',
    'copying',
    '20 MiB of 100 MiB',
    '–',
    'its copy arrives',
  ]);
  expect(problems).toEqual([]);
  await page.context().close();
}, 60_000);

it('shows at most fifty sentences of advice, and how many more there are', async () => {
  const { page, tick, problems } = await open('view=advice');
  tick();
  // Of each node a slot has more load than the mean, and a caller sends huge batches.
  await page.waitForFunction(() => document.body.textContent!.includes('78 more that are no worse'));
  expect(await page.locator('section.advice').count()).toBe(50);
  expect(problems).toEqual([]);
  await page.context().close();
}, 60_000);

it('draws at most a dozen lines a chart of an hour, and asks for the hour once', async () => {
  const { page, tick, problems, asked } = await open('view=load&minutes=60');
  await until(() => asked.some(({ spanS }) => spanS === 30));
  for (let count = 0; count < 10; count++) tick();
  await page.waitForFunction(() => document.querySelectorAll('.u-legend').length >= 11);
  const lines = await page.evaluate(() =>
    [...document.querySelectorAll('.u-legend')].map((legend) => legend.querySelectorAll('.u-series').length - 1),
  );
  expect(Math.max(...lines)).toBe(12);
  expect(await page.locator('section:has(h2:text("Requests")) small').textContent()).toContain('52 more processes');
  expect(asked.filter(({ spanS, sinceMs }) => spanS === 30 && sinceMs === 0).length).toBe(1);
  expect(problems).toEqual([]);
  await page.context().close();
}, 60_000);

it('has the figures of all nodes for an hour, of the series that was chosen', async () => {
  const { page, tick, problems, asked } = await open('view=latency&minutes=60&series=call');
  await until(() => asked.some(({ spanS }) => spanS === 30));
  tick();
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length >= 64);
  const cells = page.locator('section:has(h2:text("Figures")) tr:has(td:first-child:text-is("n7")) td');
  // 120 frames of 150 values in half a minute each.
  expect((await cells.allTextContents()).slice(0, 3)).toEqual(['n7', '5', '18,000']);
  expect(asked.every(({ prefixes }) => prefixes.join() === 'call')).toBe(true);
  const isDrawn = await page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>('canvas.heat')!;
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
    return data.some((value) => value !== 0);
  });
  expect(isDrawn).toBe(true);
  expect(problems).toEqual([]);
  await page.context().close();
}, 60_000);
