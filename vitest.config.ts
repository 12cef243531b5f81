import { defineConfig } from 'vitest/config';
import { reporters } from './test/support/unhandled-errors.ts';

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
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
  },
});
