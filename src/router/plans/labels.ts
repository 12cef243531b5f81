/** Labels. None are stored yet, so the answer is empty once the request is checked. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { decodeMessage } from '../../proto/codec.ts';
import { emptyAnswer, type Plan, planDefaults } from '../plan.ts';

/** The methods about labels. */
export const labelPlans: readonly Plan[] = [
  {
    method: 'GetLabels',
    itemsMax: planDefaults.itemsMax,
    timeoutMs: planDefaults.timeoutMs,
    isShared: false,
    run: (request, context) => {
      const { subjects } = decodeMessage('GetLabelsRequest', request);
      if (subjects.length > planDefaults.itemsMax) {
        throw new DataPlaneError(
          'ResourceExhausted',
          `GetLabelsRequest.subjects: more than ${planDefaults.itemsMax} items`,
        );
      }
      context.admit(subjects.length);
      return emptyAnswer;
    },
  },
];
