/**
 * The official data plane as its own process, with the packages that the conformance tests install.
 * Arguments: PostgreSQL's URL, and `migrate` to create the tables and exit.
 */

import { once } from 'node:events';
import { createServer } from 'node:net';
import { officialPackage, officialSchema } from './official-plane.ts';

type Database = { migrateToLatestOrThrow(): Promise<void>; close(): Promise<void> };
type Official = {
  readonly Database: new (options: { url: string; schema: string; poolSize: number }) => Database;
  readonly DataPlaneServer: { create(db: Database, port: number, plcUrl: string, fetch: unknown): Promise<unknown> };
};

const poolSize = 12;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

const [url, mode] = process.argv.slice(2) as [string, string | undefined];
const official: Official = await import(officialPackage());
const db = new official.Database({ url, schema: officialSchema, poolSize });
if (mode === 'migrate') {
  await db.migrateToLatestOrThrow();
  await db.close();
  console.log(JSON.stringify({ migrated: true }));
} else {
  const port = await freePort();
  await official.DataPlaneServer.create(db, port, 'http://127.0.0.1:1', globalThis.fetch);
  console.log(JSON.stringify({ port }));
  process.once('SIGTERM', () => process.exit(0));
}
