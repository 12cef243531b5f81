import { defineConfig } from 'vitest/config';
import { reporters } from './test/support/outside-errors.ts';
import { stripSource } from './test/support/stripped-source.ts';

const loadStripped = stripSource();

/**
 * Conformance tests are a package of their own (`test/conformance/`), with their own configuration.
 */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/conformance/**', '**/node_modules/**'],
    setupFiles: ['test/support/property-seed.ts'],
    reporters: reporters(),
    pool: 'forks',
    // For threads of the tests' processes, and for processes that tests start.
    execArgv: loadStripped,
    env: { NODE_OPTIONS: loadStripped.join(' ') },
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
  },
});
