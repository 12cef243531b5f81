/**
 * The database of an official data plane, read through `psql`, which every PostgreSQL ships.
 *
 * Owns: one child process for each query, in a transaction that only reads. A password is never
 * part of the URL: it comes by the environment or a file, as psql takes it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { type CopyRow, copyRows } from './copy-rows.ts';

/** What an import reads: rows of texts. */
export interface RowSource {
  /** What tells this database from another, without its password. */
  readonly name: string;
  /** Yields the rows of a query, some at a time. Errors: DataPlaneError `Unavailable`. */
  rows(query: string): AsyncIterable<readonly CopyRow[]>;
}

const problemLengthMax = 2_000;
const safeOptions = '-c default_transaction_read_only=on -c standard_conforming_strings=on -c client_encoding=UTF8';

type Environment = Readonly<Record<string, string | undefined>>;

/** Returns a text as a literal of SQL. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Returns about how many rows a table has; null where the database never counted them. */
export async function estimatedRows(source: RowSource, table: string): Promise<number | null> {
  const query = `SELECT reltuples::bigint::text FROM pg_class WHERE oid = '"${table}"'::regclass`;
  let count = -1;
  for await (const [row] of source.rows(query)) count = Number(row?.[0]?.utf8Slice() ?? -1);
  return count < 0 ? null : count;
}

/**
 * Reads the database at a URL such as `postgresql://host/bsky?user=reader&schema=bsky`.
 *
 * Errors: DataPlaneError `ConfigInvalid` for a schema that is no name.
 */
export function postgresSource(url: string, environment: Environment): RowSource {
  const { hostname, port, pathname, searchParams } = new URL(url);
  const given = {
    PGHOST: decodeURIComponent(hostname),
    PGPORT: port,
    PGUSER: searchParams.get('user') ?? '',
    PGDATABASE: decodeURIComponent(pathname.slice(1)),
    PGSSLMODE: searchParams.get('sslmode') ?? '',
  };
  const named = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ''));
  const schema = searchParams.get('schema') ?? 'public';
  if (!/^\w+$/.test(schema)) throw new DataPlaneError('ConfigInvalid', `"${schema}" is not the name of a schema`);
  const options = `${safeOptions} -c search_path=${schema}`;
  const child = { ...environment, ...named, PGOPTIONS: options, PGAPPNAME: 'skyshard import' };
  return {
    name: `${hostname}:${port || '5432'}${pathname} ${schema}`,
    rows: (query) => psqlRows(query, child),
  };
}

async function* psqlRows(query: string, env: Environment): AsyncGenerator<readonly CopyRow[]> {
  const command = `COPY (${query}) TO STDOUT WITH (FORMAT binary)`;
  const args = ['--no-psqlrc', '--quiet', '--no-password', '-v', 'ON_ERROR_STOP=1', '-c', command];
  const psql = spawn('psql', args, { env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let problem = '';
  psql.stderr.on('data', (chunk: Buffer) => {
    problem = (problem + chunk.toString()).slice(0, problemLengthMax);
  });
  const ended = once(psql, 'close').catch((cause: unknown) => {
    const hint = 'Install the client of PostgreSQL, whose program `psql` reads the database.';
    throw new DataPlaneError('Unavailable', `psql did not start: ${(cause as Error).message}`, { cause, hint });
  });
  ended.catch(() => {});
  try {
    yield* copyRows(psql.stdout);
    await ended;
  } catch (thrown) {
    await ended;
    if (problem === '') throw thrown;
    const hint = 'The URL and the password (PGPASSWORD, ~/.pgpass) must let psql read the database.';
    throw new DataPlaneError('Unavailable', `psql: ${problem.trim()}`, { cause: thrown, hint });
  } finally {
    if (psql.exitCode === null) psql.kill();
  }
}
