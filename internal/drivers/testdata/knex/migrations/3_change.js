exports.up = async (knex) => {
  await knex.schema.alterTable('accounts', (t) => { t.bigInteger('hits').notNullable().defaultTo(0).alter(); });
  await knex.schema.alterTable('accounts', (t) => { t.renameColumn('note', 'remark'); });
};
exports.down = async (knex) => {
  await knex.schema.alterTable('accounts', (t) => { t.renameColumn('remark', 'note'); });
  await knex.schema.alterTable('accounts', (t) => { t.integer('hits').notNullable().defaultTo(0).alter(); });
};
