class DropOld < ActiveRecord::Migration[6.1]
  def change
    remove_column :accounts, :old, :integer
    add_index :accounts, [:name, :id], unique: true, name: "both_of"
    rename_index :accounts, "index_accounts_on_name", "by_name"
  end
end
