export * from '../../lab/tree.js';
