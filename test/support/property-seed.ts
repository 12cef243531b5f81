/**
 * The seed of every property test, so that a run of the tests on one commit has one outcome.
 *
 * `SKYSHARD_TEST_SEED=N` takes another; fast-check prints seed and path of what fails.
 */
import fc from 'fast-check';

const seed = Number(process.env['SKYSHARD_TEST_SEED'] ?? 1);
if (!Number.isSafeInteger(seed)) throw new Error('SKYSHARD_TEST_SEED must be a whole number');

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
