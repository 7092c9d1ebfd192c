export * from '../../lab/root.js';
