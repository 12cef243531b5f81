/** Starts the PostgreSQL server that all test files of a run share; types what they inject. */
import type { TestProject } from 'vitest/node';
import { startPostgres } from './network/postgres-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The PostgreSQL server of this run. */
    postgresUrl: string;
    /** Which data plane is under test. */
    planeName: 'official' | 'skyshard';
    /** Of each node of the plane under test. */
    serveThreads: number;
    /** Where the plane under test has its log. */
    logHome: 'folders' | 'nats';
    /** Which random histories to perform. */
    histories: {
      readonly firstSeed: number;
      readonly seedCount: number;
      readonly shrinkTimeMsMax: number;
      /** A pattern of the topics of mutants. */
      readonly topics: string;
    };
  }
}

/** Starts the PostgreSQL server of all test files. Returns: its stop, which vitest calls. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const postgres = await startPostgres();
  project.provide('postgresUrl', postgres.url);
  return async () => await postgres[Symbol.asyncDispose]();
}
