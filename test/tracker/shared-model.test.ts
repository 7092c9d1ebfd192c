import { testSharedTable } from './shared-conformance.js';
import { SharedModel } from './shared-model.js';

testSharedTable('the model', {
  make: async () => {
    const model = new SharedModel(() => 1_000_000);
    return [model.door(), model.door()];
  },
});
