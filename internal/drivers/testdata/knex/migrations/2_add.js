exports.up = (knex) => knex.schema.alterTable('accounts', (t) => {
  t.string('state', 10).notNullable().defaultTo('new').after('name');
  t.timestamp('made_at').defaultTo(knex.fn.now());
  t.index(['name']);
});
exports.down = (knex) => knex.schema.alterTable('accounts', (t) => {
  t.dropIndex(['name']);
  t.dropColumns('state', 'made_at');
});
