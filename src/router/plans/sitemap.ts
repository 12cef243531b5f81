/**
 * Sitemaps of users, for search engines: gzipped XML.
 *
 * The official plane answers one fixed example. Here bucket b of n slots is the range of owners
 * `floor((b - 1) / n)` of slot `(b - 1) mod n`, so that no index is needed. The index names today;
 * a page of the days before is the same, for readers of an index that is not new.
 */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { decodeMessage, encodeMessage } from '../../proto/codec.ts';
import { decodeTexts, encodeTexts } from '../../wire/message.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { ownersPerSitemap } from '../../wire/sitemap.ts';
import { type Plan, type PlanContext, planDefaults } from '../plan/plan.ts';

const site = 'https://bsky.app';
const schema = 'http://www.sitemaps.org/schemas/sitemap/0.9';
/** The protocol of sitemaps allows no more in an index. */
const sitemapsMax = 50_000;
/** Days end at different times around the world. Units: ms. */
const dayMs = 24 * 3_600_000;
const indexDaysMax = 31;

const gzipped = promisify(gzip);

function xmlOf(root: string, item: string, locations: readonly string[]): string {
  const items = locations.map((location) => `  <${item}>\n    <loc>${location}</loc>\n  </${item}>\n`);
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="${schema}">\n${items.join('')}</${root}>\n`;
}

/** Returns the buckets that hold an owner, ascending. */
async function buckets({ fanOut, deadlineMs }: PlanContext): Promise<number[]> {
  const asked = fanOut.primaries.map((node) => ({ node, payload: Buffer.alloc(0) }));
  const answers = await fanOut.askAll(nodeCalls.sitemapOwners, asked, deadlineMs);
  const { slots } = fanOut.map;
  const found = answers.flatMap((answer) => {
    const numbers = decodeTexts(answer).map(Number);
    // Buckets are numbered by the map, and a node may have one of more slots.
    if (numbers.some((slot, index) => index % 2 === 0 && slot >= slots))
      throw new DataPlaneError('WrongEpoch', `a node has more than ${slots} slots`);
    return numbers.flatMap((slot, index) => {
      if (index % 2 === 1) return [];
      const pages = Math.ceil(numbers[index + 1]! / ownersPerSitemap);
      return Array.from({ length: pages }, (_unused, page) => page * slots + slot + 1);
    });
  });
  return found.sort((one, other) => one - other).slice(0, sitemapsMax);
}

async function index(_request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const today = new Date(context.nowMs()).toISOString().slice(0, 10);
  const locations = (await buckets(context)).map((bucket) => `${site}/sitemap/users/${today}/${bucket}.xml.gz`);
  const sitemap = await gzipped(xmlOf('sitemapindex', 'sitemap', locations));
  return encodeMessage('GetSitemapIndexResponse', { sitemap });
}

async function page(request: Buffer, context: PlanContext): Promise<Uint8Array> {
  const { date, bucket } = decodeMessage('GetSitemapPageRequest', request);
  const nowMs = context.nowMs();
  const isDay = date !== undefined && date <= nowMs + dayMs && date > nowMs - indexDaysMax * dayMs;
  if (!isDay || bucket < 1 || !(await buckets(context)).includes(bucket))
    throw new DataPlaneError('NotFound', 'there is no such page of the sitemap');
  const { fanOut, deadlineMs } = context;
  const slot = (bucket - 1) % fanOut.map.slots;
  const range = Math.trunc((bucket - 1) / fanOut.map.slots);
  const payload = encodeTexts([String(slot), String(range)]);
  const answer = await fanOut.ask(fanOut.nodeBySlot[slot]!, nodeCalls.sitemapHandles, payload, deadlineMs);
  const locations = decodeTexts(answer).map((handle) => `${site}/profile/${handle}`);
  return encodeMessage('GetSitemapPageResponse', { sitemap: await gzipped(xmlOf('urlset', 'url', locations)) });
}

export const sitemapPlans: readonly Plan[] = [
  { method: 'GetSitemapIndex', timeoutMs: planDefaults.timeoutMs, isShared: true, run: index },
  // Of whom the index was asked: while slots are doubled, copies may have split or not.
  {
    method: 'GetSitemapPage',
    timeoutMs: 2 * planDefaults.timeoutMs,
    isShared: true,
    needsPrimaries: true,
    run: page,
  },
];
