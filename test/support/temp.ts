export * from '../../lab/temp.js';
