class ChangeHits < ActiveRecord::Migration[6.1]
  def up
    change_column :accounts, :hits, :bigint, null: false, default: 0
    rename_column :accounts, :note, :remark
    change_column_default :accounts, :state, from: "new", to: "fresh"
    change_table :accounts, bulk: true do |t|
      t.string :kind, default: "b", comment: "of what"
      t.rename :state, :status
      t.index [:kind, :name], unique: false
    end
  end

  def down
    change_table :accounts, bulk: true do |t|
      t.remove_index [:kind, :name]
      t.rename :status, :state
      t.remove :kind
    end
    change_column_default :accounts, :state, from: "fresh", to: "new"
    rename_column :accounts, :remark, :note
    change_column :accounts, :hits, :integer, null: false, default: 0
  end
end
