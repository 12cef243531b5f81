/** The page in a real browser, against a running cluster under load: what it shows is true. */
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runOpenLoop } from '../../bench/report.ts';
import { decodeSeries } from '../../src/cli/histogram-log.ts';
import { readRunFile } from '../../src/cli/process/run-file.ts';
import type { HistogramReport } from '../../src/metrics/histogram-report.ts';
import { clusterFolder, type RunningCluster, removeFolder, startCluster } from '../support/running-cluster.ts';
import { until } from '../support/until.ts';

const executablePath = '/usr/bin/chromium';
/** Kept as output of the tests. */
const shotFolder = join(tmpdir(), 'skyshard-screenshots');
const demo = ['--demo', '--demo-actors=20', '--demo-records=300', '--demo-rate=5'];
const perSecond = 60;

let folder: string;
let cluster: RunningCluster;
let browser: Browser;
let dids: string[];
let isLoading = true;
let isPaused = false;
let loading: Promise<void>;

async function ask(method: string, body: object, caller = 'browser-test'): Promise<void> {
  const response = await fetch(`${cluster.run.router.url}/bsky.Service/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-atlantis-caller': caller },
    body: JSON.stringify(body),
  });
  await response.arrayBuffer();
}

async function keepAsking(): Promise<void> {
  while (isLoading) {
    const asked = isPaused ? null : Promise.all([ask('GetActors', { dids }), ask('Ping', {})]).catch(() => {});
    await Promise.all([asked, new Promise((resolve) => setTimeout(resolve, 40))]);
  }
}

beforeAll(async () => {
  folder = clusterFolder();
  cluster = await startCluster(folder, demo);
  dids = Array.from({ length: 30 }, (_unused, index) => `did:web:n${index}.example`);
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  mkdirSync(shotFolder, { recursive: true });
  loading = keepAsking();
}, 120_000);

afterAll(async () => {
  isLoading = false;
  await loading;
  await browser.close();
  await cluster.stop();
  removeFolder(folder);
}, 60_000);

async function open(view: string, options: BrowserContextOptions = {}): Promise<{ page: Page; problems: string[] }> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    timezoneId: 'Asia/Tokyo',
    ...options,
  });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(cluster.run.router.url) && !request.url().startsWith('data:'))
      problems.push(request.url());
  });
  await page.goto(`${cluster.run.router.url}/#view=${view}`);
  await waitUntilLive(page);
  return { page, problems };
}

function waitUntilLive(page: Page, timeout = 20_000): Promise<unknown> {
  return page.waitForFunction(() => document.querySelector('#state')?.textContent?.startsWith('live'), null, {
    timeout,
  });
}

/** Returns the cells of the row of a table that begins with a text. */
async function rowOf(page: Page, section: string, first: string): Promise<string[]> {
  const cells = page.locator(`section:has(h2:text("${section}")) tr:has(td:first-child:text-is("${first}")) td`);
  return await cells.allTextContents();
}

/** Returns what the processes have of a histogram, of the last seconds. */
async function reports(name: string, lastS: number): Promise<HistogramReport[]> {
  const url = `${cluster.run.router.url}/v1/histograms?nodes=all&last=${lastS}&name=${name}`;
  return ((await (await fetch(url)).json()) as { processes: HistogramReport[] }).processes;
}

function countOf({ series }: HistogramReport): number {
  return series.reduce((sum, { count }) => sum + count, 0);
}

/** Returns the newest value of a line of a chart, as its legend says, without its unit. */
async function legendOf(page: Page, title: string, line: string): Promise<string> {
  const label = `section:has(h2:text("${title}")) .u-series:has(.u-label:text-is("${line}")) .u-value`;
  return (await page.locator(label).first().textContent())!;
}

/** Reads a number that has its unit behind it. */
function numberOf(text: string): number {
  return Number.parseFloat(text.replaceAll(',', ''));
}

/** Reads a duration as the page writes it. Units: µs. */
function micros(text: string): number {
  const [, number, unit] = /^([\d.,]+) (µs|ms|s)$/.exec(text)!;
  return Number(number!.replaceAll(',', '')) * { µs: 1, ms: 1e3, s: 1e6 }[unit as 'µs' | 'ms' | 's'];
}

const views = ['cluster', 'latency', 'load', 'ingest', 'advice'] as const;

/** Checks what a page shows of a view once some messages have come, and keeps a picture of it. */
async function expectSound(page: Page, view: string, look: string, problems: readonly string[]): Promise<void> {
  await page.screenshot({ path: join(shotFolder, `${view}-${look}.png`), fullPage: true });
  expect(await page.locator('main section').count(), view).toBeGreaterThan(0);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(wide, `${view} is wider than its window`).toBeLessThanOrEqual(0);
  expect(await page.locator('#login').isVisible()).toBe(false);
  expect(await page.locator('#state').textContent(), view).toContain('times of Asia/Tokyo');
  expect(problems).toEqual([]);
}

describe('the page', () => {
  it('has every view without a problem, light and dark', async () => {
    for (const view of views) {
      const { page, problems } = await open(view, { colorScheme: 'light' });
      await page.waitForTimeout(3_000);
      await expectSound(page, view, 'light', problems);
      await page.emulateMedia({ colorScheme: 'dark' });
      await page.waitForTimeout(1_500);
      await expectSound(page, view, 'dark', problems);
      await page.context().close();
    }
  }, 180_000);

  it('has every view without a problem, on a phone', async () => {
    const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
    const { page, problems } = await open(views[0], phone);
    for (const view of views) {
      await page.locator(`#tabs a[href="#view=${view}"]`).tap();
      await page.waitForTimeout(1_500);
      expect(page.url()).toContain(`view=${view}`);
      await expectSound(page, view, 'phone', problems);
    }
    await page.context().close();
  }, 180_000);

  it('is used by the keyboard, and its URL holds the view', async () => {
    const { page } = await open('cluster');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.waitForSelector('canvas.heat');
    expect(page.url()).toContain('view=latency');
    await page.getByLabel('series').selectOption('request|GetActors');
    expect(page.url()).toContain('series=request%7CGetActors');
    await page.reload();
    await page.waitForSelector('canvas.heat');
    await page.waitForFunction(() => document.querySelectorAll('select')[1]?.value === 'request|GetActors');
    await page.context().close();
  }, 60_000);

  it('compares a window with its first half, and with a saved baseline', async () => {
    const { page } = await open('latency&series=request%7CPing');
    const linesOf = (): Promise<string[]> =>
      page.locator('section:has(h2:text("Percentiles")) .u-series .u-label').allTextContents();
    await page.getByRole('button', { name: 'Save as baseline' }).click();
    await until(async () => (await linesOf()).length === 3);
    expect(page.url()).toContain('compare=baseline');
    expect(await linesOf()).toEqual(['percentile', 'now', expect.stringMatching(/^request: Ping, /)]);
    await page.getByLabel('compare with').selectOption('half');
    await until(async () => (await linesOf()).includes('first half'));
    expect(await linesOf()).toEqual(['percentile', 'second half', 'first half']);
    await page.context().close();
  }, 60_000);

  it('shows the percentiles that the histograms have', async () => {
    const { page } = await open('latency&series=request%7CPing&process=router');
    await page.waitForTimeout(4_000);
    isPaused = true;
    await page.waitForTimeout(3_000);
    const shown = await rowOf(page, 'Figures', 'router');
    const numberAt = (cell: number): number => Number(shown[cell]!.replaceAll(',', ''));
    const [perSecondShown, count] = [numberAt(1), numberAt(2)];
    expect(count).toBeGreaterThan(50);
    // The page has the last two minutes; the process may have one second more or less of them.
    // The rate is rounded, and no more than two minutes can be asked for.
    const last = Math.min(120, Math.round(count / perSecondShown));
    const response = await fetch(
      `${cluster.run.router.url}/v1/histograms?last=${last}&name=skyshard_request_duration_seconds`,
    );
    isPaused = false;
    const { processes } = (await response.json()) as { processes: HistogramReport[] };
    const series = processes[0]!.series.find(({ labels }) => labels['method'] === 'Ping')!;
    const histogram = decodeSeries(series);
    expect(Math.abs(histogram.totalCount / count - 1)).toBeLessThan(0.1);
    const p50 = micros(shown[3]!);
    expect(p50).toBeGreaterThanOrEqual(0.95 * histogram.getValueAtPercentile(40));
    expect(p50).toBeLessThanOrEqual(1.05 * histogram.getValueAtPercentile(60));
    expect(micros(shown[8]!)).toBeLessThanOrEqual(1.02 * histogram.maxValue);
    await page.context().close();
  }, 60_000);

  // Both at once: they wait for ten seconds of load.
  it.concurrent('shows nodes with the calls that their histograms have, and their slots', async () => {
    const { page } = await open('cluster');
    await page.waitForTimeout(11_000);
    const rows = await Promise.all(['n0', 'n1'].map((name) => rowOf(page, 'Nodes', name)));
    const [, ...nodes] = await reports('skyshard_call_duration_seconds', 10);
    for (const [index, cells] of rows.entries()) {
      expect(cells.slice(0, 6)).toEqual([`n${index}`, 'up', '1', '2', '0', '0']);
      const perSecondRecorded = countOf(nodes[index]!) / 10;
      expect(perSecondRecorded).toBeGreaterThan(1);
      expect(Math.abs(numberOf(cells[13]!) / perSecondRecorded - 1), `${cells[13]}`).toBeLessThan(0.3);
    }
    const { slotReads } = nodes[0]!;
    await page.getByLabel('slot 0 on n0').click();
    const detail = await page.locator('section:has(h2:text("Slots")) p[aria-live]').textContent();
    const reads = numberOf(/complete: ([\d,]+) reads/.exec(detail!)![1]!);
    expect(reads).toBeGreaterThan(0);
    expect(reads).toBeLessThanOrEqual(1.1 * slotReads.find(({ slot }) => slot === 0)!.count);
    await page.context().close();
  }, 60_000);

  it.concurrent('shows as many requests and items a second as the histograms have, and the memory of a process', async () => {
    const { page } = await open('load');
    const [requests, items]: [Map<string, number>, Map<string, number>] = [new Map(), new Map()];
    await until(async () => {
      const time = await legendOf(page, 'Requests', 'time');
      requests.set(time, numberOf(await legendOf(page, 'Requests', 'router')));
      items.set(time, numberOf(await legendOf(page, 'Items', 'router')));
      return requests.size > 10;
    }, 30_000);
    const meanOf = (values: Map<string, number>): number =>
      [...values.values()].reduce((sum, value) => sum + value, 0) / values.size;
    const [counted] = await reports('skyshard_request_duration_seconds', 10);
    const [asked] = await reports('skyshard_request_items', 10);
    const askedSum = asked!.series.reduce((sum, one) => sum + one.sum, 0);
    expect(Math.abs(meanOf(requests) / (countOf(counted!) / 10) - 1)).toBeLessThan(0.3);
    expect(Math.abs(meanOf(items) / (askedSum / 10) - 1)).toBeLessThan(0.3);
    const shown = await legendOf(page, 'Memory', 'router');
    const text = await (await fetch(`${cluster.run.router.url}/metrics`)).text();
    const resident = Number(/^process_resident_memory_bytes (\d+)$/m.exec(text)![1]) / 2 ** 20;
    expect(shown).toMatch(/^\d+ MiB$/);
    expect(Math.abs(numberOf(shown) / resident - 1)).toBeLessThan(0.3);
    await page.context().close();
  }, 60_000);

  it('names the caller of huge batches, with the size that the histograms have', async () => {
    const { page } = await open('advice');
    const many = Array.from({ length: 3_000 }, (_unused, index) => `did:web:n${index}.example`);
    for (let turn = 0; turn < 5; turn++) await ask('GetActors', { dids: many }, 'bulk');
    const advice = page.locator('section.advice', { hasText: 'Caller bulk sends huge batches' });
    const shown = (await advice.textContent())!;
    const [router] = await reports('skyshard_caller_request_items', 60);
    const series = router!.series.find(({ labels }) => labels['caller'] === 'bulk')!;
    expect(series.count).toBe(5);
    const items = numberOf(/1 in 100 asks for ([\d,]+) items/.exec(shown)![1]!);
    expect(decodeSeries(series).getValueAtPercentile(0)).toBe(many.length);
    expect(Math.abs(items / many.length - 1)).toBeLessThan(0.01);
    expect(shown).toContain('skyshard hist show --series caller_request_items');
    await page.context().close();
  }, 60_000);

  it('begins with what the process has in memory', async () => {
    const counted = async (): Promise<number> => {
      const url = `${cluster.run.router.url}/v1/histograms?last=100&name=skyshard_request_duration_seconds`;
      const { processes } = (await (await fetch(url)).json()) as { processes: HistogramReport[] };
      const series = processes[0]!.series.find(({ labels }) => labels['method'] === 'Ping');
      return series === undefined ? 0 : decodeSeries(series).totalCount;
    };
    const before = await until(async () => ((await counted()) >= 300 ? await counted() : null));
    const { page } = await open('latency&series=request%7CPing&process=router');
    const shown = await until(async () => {
      const cells = await rowOf(page, 'Figures', 'router');
      return cells.length === 0 ? null : Number(cells[2]!.replaceAll(',', ''));
    });
    expect(shown).toBeGreaterThanOrEqual(0.9 * before);
    await page.context().close();
  }, 60_000);

  it('shows sources of ingest as its status has them', async () => {
    const { page } = await open('ingest');
    type Source = { readonly name: string; readonly receivedSeq: number };
    const received = async (): Promise<Source> => {
      const response = await fetch(`${cluster.run.ingest.url}/v1/status`);
      return ((await response.json()) as { sources: Source[] }).sources[0]!;
    };
    const before = await received();
    const shown = await until(async () => {
      const cells = await rowOf(page, 'Sources', before.name);
      return Number(cells[5]) >= before.receivedSeq ? cells : null;
    });
    expect(shown[1]).toBe('connected');
    expect(Number(shown[5])).toBeLessThanOrEqual((await received()).receivedSeq);
    // Five records a second are made, and each is an event or two.
    await page.waitForFunction(() => {
      const rate = document.querySelector('td:nth-child(3)')?.textContent ?? '';
      return Number(rate.replace('/s', '')) >= 2;
    });
    await page.context().close();
  }, 60_000);

  it('shows a node that is killed within three seconds, and it comes back', async () => {
    const { page } = await open('cluster');
    await page.waitForFunction(() => document.body.textContent?.includes('n1'));
    // It is back within a second or so, maybe before the page was told that it was down.
    const isNoticed = (): boolean => {
      const state = document.querySelector('td.bad, td.warn')?.textContent ?? '';
      return state === 'down' || /^up for [0-3] s$/.test(state);
    };
    expect(await page.evaluate(isNoticed)).toBe(false);
    process.kill(cluster.run.nodes['n1']!.pid, 'SIGKILL');
    await page.waitForFunction(isNoticed, null, { timeout: 3_000, polling: 50 });
    await page.waitForFunction(() => document.querySelector('td.bad') === null, null, { timeout: 30_000 });
    expect((await rowOf(page, 'Nodes', 'n1'))[1]).toMatch(/^up for \d+ s$/);
    await page.context().close();
  }, 60_000);

  it('shows what a node that stood still for two seconds cost, as an open-loop client sees it', async () => {
    const { page } = await open('latency&series=request%7CGetActors&process=router');
    const { pid } = readRunFile(cluster.dataDir)!.nodes['n1']!;
    const stopped = (async () => {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      process.kill(pid, 'SIGSTOP');
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      process.kill(pid, 'SIGCONT');
    })();
    const send = (): Promise<void> => ask('GetActors', { dids });
    const { latency } = await runOpenLoop({ perSecond, durationMs: 5_000, send });
    await stopped;
    expect(latency.max_ms).toBeGreaterThan(1_800);
    await page.waitForTimeout(2_500);
    const shown = await rowOf(page, 'Figures', 'router');
    expect(micros(shown[8]!)).toBeGreaterThan(1_700_000);
    expect(await page.locator('section:has(h2:text("Slowest requests")) td').count()).toBeGreaterThan(0);
    await page.context().close();
  }, 60_000);

  it('goes on after the router has restarted', async () => {
    const { page } = await open('cluster');
    process.kill(readRunFile(cluster.dataDir)!.router.pid, 'SIGKILL');
    await page.waitForFunction(() => document.querySelector('#state')?.className === 'bad', null, { timeout: 10_000 });
    await waitUntilLive(page, 30_000);
    await page.context().close();
  }, 60_000);
});
