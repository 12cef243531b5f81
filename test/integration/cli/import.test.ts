/** `skyshard import postgres` on a running cluster: what it needs, prints, survives, ends with. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BenchPostgres, initPostgres, postgresPrograms, startPostgres } from '../../../bench/postgres.ts';
import { Cid } from '../../../src/atproto/cid.ts';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { adminRequest } from '../../../src/cli/admin-request.ts';
import { callService, type ServiceAnswer } from '../../../src/cli/service-call.ts';
import { literal } from '../../../src/migrate/postgres-source.ts';
import { officialTablesSql } from '../../support/official-tables.ts';
import { jsonOfOp, recordOp } from '../../support/record-op.ts';
import {
  clusterFolder,
  type Ended,
  type RunningCluster,
  removeFolder,
  runCommand,
  sourceProgram,
  startCluster,
} from '../../support/running-cluster.ts';
import { until } from '../../support/until.ts';

const actors = 1_600;
const kills = 4;
const at = '2025-01-02T03:04:05.678Z';
const [rkey, likeRkey] = ['3k2aaaaaaaaaa', '3k2aaaaaaaaab'];
const letters = 'abcdefghij';
const didOf = (index: number): string =>
  `did:plc:${String(index)
    .padStart(24, '0')
    .replace(/\d/g, (digit) => letters[Number(digit)]!)}`;

let files: string;
let folder: string;
let postgres: BenchPostgres;
let cluster: RunningCluster;
let url: string;

function sql(command: string): void {
  const file = join(files, 'command.sql');
  execFileSync('tee', [file], { input: command, stdio: ['pipe', 'ignore', 'inherit'] });
  postgres.runFile(file);
}

/** Each actor has a post and likes the post of the next one. */
function fill(): void {
  const lines: string[] = [];
  const posts = Array.from({ length: actors }, (_unused, index) => {
    const post = { $type: 'app.bsky.feed.post', text: `post ${index}`, createdAt: at };
    const op = recordOp({ collection: 'app.bsky.feed.post', rkey }, post);
    return { op, uri: `at://${didOf(index)}/app.bsky.feed.post/${rkey}`, cid: new Cid(op.cid).text };
  });
  posts.forEach(({ op, uri, cid }, index) => {
    const did = didOf(index);
    const next = posts[(index + 1) % actors]!;
    const like = { $type: 'app.bsky.feed.like', subject: { uri: next.uri, cid: next.cid }, createdAt: at };
    const likeOp = recordOp({ collection: 'app.bsky.feed.like', rkey: likeRkey }, like);
    const likeUri = `at://${did}/app.bsky.feed.like/${likeRkey}`;
    const rows = [
      [uri, cid, did, jsonOfOp(op), at],
      [likeUri, new Cid(likeOp.cid).text, did, jsonOfOp(likeOp), at],
    ];
    for (const row of rows) lines.push(`INSERT INTO bsky.record VALUES (${row.map(literal).join(', ')}, NULL, NULL);`);
    lines.push(`INSERT INTO bsky.actor (did, handle, "indexedAt") VALUES ('${did}', 'a${index}.test', '${at}');`);
    lines.push(`INSERT INTO bsky.actor_sync VALUES ('${did}', 'x', '3kzzzzzzzzzzz');`);
    lines.push(`INSERT INTO bsky.mute VALUES ('${didOf(0)}', '${did}', '${at}', false, false);`);
    lines.push(`INSERT INTO bsky.label VALUES ('${didOf(1)}', '${uri}', '', 'spam', false, '${at}', NULL);`);
    lines.push(`INSERT INTO bsky.profile_agg VALUES ('${did}', 0, 0, 1);`);
    lines.push(`INSERT INTO bsky.post_agg VALUES ('${uri}', 1, 0, 0, 0);`);
  });
  sql(`${officialTablesSql} BEGIN; ${lines.join('\n')} COMMIT; ANALYZE;`);
}

beforeAll(async () => {
  files = mkdtempSync(join(tmpdir(), 'skyshard-psql-'));
  const programs = postgresPrograms()!;
  initPostgres(programs, join(files, 'data'));
  postgres = await startPostgres(programs, join(files, 'data'));
  fill();
  const { host, pathname } = new URL(postgres.url);
  url = `--url=postgresql://${host}${pathname}?user=postgres&schema=bsky`;
  folder = clusterFolder();
  cluster = await startCluster(folder, []);
}, 180_000);

afterAll(async () => {
  await cluster.stop();
  await postgres[Symbol.asyncDispose]();
  removeFolder(folder);
  rmSync(files, { recursive: true });
}, 60_000);

const run = (...words: string[]): Promise<Ended> =>
  runCommand(['import', 'postgres', ...words, `--data-dir=${cluster.dataDir}`]);
const call = (method: string, request: object): Promise<ServiceAnswer> =>
  callService({ url: cluster.run.router.url, timeoutMs: 30_000 }, method, request);
const isKnown = async (did: string): Promise<boolean> => {
  const { actors: found } = (await call('GetActors', { dids: [did] })) as { actors: { exists?: boolean }[] };
  return found[0]!.exists === true;
};

/** Returns how many entries the slots have applied. */
async function applied(): Promise<number> {
  type Status = { nodes: { slots: { cursor: number }[] }[] };
  const request = { url: cluster.run.router.url, path: '/v1/status', token: null, timeoutMs: 30_000 };
  const { nodes } = (await adminRequest(request)) as Status;
  return nodes.flatMap(({ slots }) => slots).reduce((sum, { cursor }) => sum + cursor, 0);
}

/** Kills an import once the slots have applied so many entries. Returns: whether it still ran. */
async function killAt(entries: number): Promise<boolean> {
  const words = ['import', 'postgres', url, '--parallel=1', `--data-dir=${cluster.dataDir}`];
  const importer = spawn(sourceProgram[0]!, [...sourceProgram.slice(1), ...words], {
    env: { PATH: process.env['PATH'], NODE_OPTIONS: process.env['NODE_OPTIONS'] },
    stdio: 'ignore',
  });
  const ended = once(importer, 'exit');
  await until(async () => importer.exitCode !== null || (await applied()) >= entries, 60_000);
  importer.kill('SIGKILL');
  const [, signal] = (await ended) as [number | null, string | null];
  return signal === 'SIGKILL';
}

it('shows what would be read, and reads nothing', async () => {
  const shown = await run(url, '--dry-run');
  expect(shown, shown.err).toMatchObject({ code: 0 });
  expect(shown.out).toMatch(/record +3,200\n/);
  expect(shown.out).toContain('0 purged repos, and what was erased of 0 actors, would be left out');
  expect(await isKnown(didOf(3))).toBe(false);
  const { tables } = JSON.parse((await run(url, '--dry-run', '--json')).out) as { tables: { table: string }[] };
  expect(tables.map(({ table }) => table)).toContain('activity_subscription');
}, 60_000);

it('refuses to run where nobody says which repos were purged', async () => {
  const refused = await run(url, '--ingest-url=http://127.0.0.1:9');
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('--without-ingest') });
  expect(await isKnown(didOf(3))).toBe(false);
}, 60_000);

it('brings everything but what was purged, however often it is killed', async () => {
  const purged = didOf(7);
  expect(await runCommand(['repo', 'purge', purged, `--data-dir=${cluster.dataDir}`])).toMatchObject({ code: 0 });
  const seed = Number(process.env['SKYSHARD_SEED'] ?? 1);
  const random = seededRandom(seed);
  const before = await applied();
  // An actor, its records, a mute, a label, and what its like sends are about six entries.
  const points = Array.from({ length: kills }, () => random.below(6 * actors)).sort((one, other) => one - other);
  const killed: boolean[] = [];
  for (const point of points) killed.push(await killAt(before + point));
  expect(killed).toContain(true);
  sql(`DELETE FROM bsky.actor WHERE did = '${purged}'; DELETE FROM bsky.record WHERE did = '${purged}';`);
  sql(`DELETE FROM bsky.profile_agg WHERE did = '${purged}'; DELETE FROM bsky.post_agg WHERE uri LIKE '%${purged}%';`);
  sql(`DELETE FROM bsky.label WHERE uri LIKE '%${purged}%';`);
  // The post that the purged account liked.
  sql(`UPDATE bsky.post_agg SET "likeCount" = 0 WHERE uri LIKE '%${didOf(8)}%'; ANALYZE;`);
  const ended = await run(url);
  expect(ended, `seed ${seed}: ${ended.out} ${ended.err}`).toMatchObject({ code: 0 });
  for (const what of ['records', 'handles', 'labels', 'counts of actors', 'counts of posts'])
    expect(ended.out).toMatch(new RegExp(`${what} +[1-9]\\d* +0\\n`));
  expect(await isKnown(purged)).toBe(false);
  const { likes } = (await call('GetInteractionCounts', {
    refs: [0, 1, 500, 1_000, actors - 1].map((index) => ({ uri: `at://${didOf(index)}/app.bsky.feed.post/${rkey}` })),
  })) as { likes: number[] };
  expect(likes).toEqual([1, 1, 1, 1, 1]);
}, 300_000);

it('reads nothing again, and reports each difference by its exit code', async () => {
  const planted: readonly (readonly [what: string, change: string, back: string])[] = [
    ['handles', `UPDATE bsky.actor SET handle = 'x' || handle`, `UPDATE bsky.actor SET handle = substr(handle, 2)`],
    ['counts of posts', 'UPDATE bsky.post_agg SET "likeCount" = 2', 'UPDATE bsky.post_agg SET "likeCount" = 1'],
    [
      'counts of actors',
      'UPDATE bsky.profile_agg SET "postsCount" = 2',
      'UPDATE bsky.profile_agg SET "postsCount" = 1',
    ],
    ['labels', `UPDATE bsky.label SET val = 'porn'`, `UPDATE bsky.label SET val = 'spam'`],
    ['records', `UPDATE bsky.record SET json = replace(json, 'post ', 'POST ')`, ''],
  ];
  const entries = await applied();
  for (const [what, change, back] of planted) {
    sql(`${change}; ANALYZE;`);
    const ended = await run(url);
    expect(ended, ended.err).toMatchObject({ code: 1 });
    expect(ended.out, what).toMatch(new RegExp(`${what} +[1-9]\\d* +[1-9]\\d*\\n`));
    expect(ended.out).toMatch(/: was .*, is /);
    sql(back);
  }
  // Two entries for each slot and run: that an import begins and ends.
  expect(await applied()).toBeLessThan(entries + 2 * 5 * (2 * 4 + 4));
}, 300_000);

it('ends for good by --stop', async () => {
  expect(await run('--stop')).toMatchObject({ code: 0, out: 'ended; what it brought stays\n' });
  expect(await isKnown(didOf(3))).toBe(true);
}, 60_000);
