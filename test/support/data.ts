export * from '../../lab/data.js';
