/**
 * The seed of every property test, fixed so that the tests of a commit always have the same
 * outcome.
 *
 * `SKYSHARD_TEST_SEED=N` sets another; fast-check prints the seed and path of a failure.
 */
import fc from 'fast-check';

const seed = Number(process.env['SKYSHARD_TEST_SEED'] ?? 1);
if (!Number.isSafeInteger(seed)) throw new Error('SKYSHARD_TEST_SEED must be a whole number');

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
