export * from '../../lab/scope.js';
