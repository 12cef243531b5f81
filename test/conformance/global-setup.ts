import type { TestProject } from 'vitest/node';
import { startPostgres } from './network/postgres-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The PostgreSQL server of this run. */
    postgresUrl: string;
    /** Which data plane is under test. */
    planeName: 'official' | 'skyshard';
  }
}

/** Starts the one PostgreSQL server that all test files share; vitest calls the returned function at the end. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const postgres = await startPostgres();
  project.provide('postgresUrl', postgres.url);
  return async () => await postgres[Symbol.asyncDispose]();
}
