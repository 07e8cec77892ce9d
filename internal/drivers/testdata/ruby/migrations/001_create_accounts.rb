class CreateAccounts < ActiveRecord::Migration[6.1]
  def change
    create_table :accounts do |t|
      t.string :name, limit: 50, null: false
      t.integer :hits, null: false, default: 0
      t.string :note, limit: 20
      t.integer :old
    end
  end
end
