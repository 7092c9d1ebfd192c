export * from '../../lab/child.js';
